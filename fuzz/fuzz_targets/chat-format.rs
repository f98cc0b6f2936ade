#![no_main]
volary_fuzz::target!("chat-format");
