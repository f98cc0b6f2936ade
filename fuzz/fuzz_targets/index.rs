#![no_main]
volary_fuzz::target!("index");
