async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<Receipt> {
    ctx.run("ship", async || shop.ship().await).await
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
struct order {}
const _: () = {
    #[automatically_derived]
    impl ::workflow::__private::WorkflowFn for order {
        const NAME: &'static ::core::primitive::str = "";
        type Context = ::workflow::WorkflowContext<()>;
        type Args = ();
        type Return = ::workflow::Result<()>;
        async fn call(_: Self::Context, _: Self::Args) -> Self::Return {
            ::core::unreachable!()
        }
    }
};
::core::compile_error! {
    "write it like this: `retries = 3`"
}
