#![no_main]
volary_fuzz::target!("tuned-state");
