#![allow(unused)]

use actix_web::App;
use workflow_actix::serve;

struct Order;

fn main() {
    let _ = App::new().route("/order", serve::<Order>());
}
