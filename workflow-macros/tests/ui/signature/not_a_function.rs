#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
struct Order;

fn main() {}
