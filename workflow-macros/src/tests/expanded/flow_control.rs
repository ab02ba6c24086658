async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<Receipt> {
    ctx.run("ship", async || shop.ship().await).await
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
struct order {}
const _: () = {
    #[automatically_derived]
    #[allow(deprecated)]
    impl ::workflow::__private::WorkflowFn for order {
        const NAME: &'static ::core::primitive::str = "order";
        const OPTIONS: ::workflow::__private::WorkflowOptions = ::workflow::__private::WorkflowOptions::new()
            .flow_control(::workflow::__private::FlowLimits {
                key: "shop",
                parallelism: ::core::option::Option::Some(3),
                rate: ::core::option::Option::Some(10),
                period: ::core::option::Option::Some(
                    ::core::time::Duration::from_secs(60u64),
                ),
            });
        type Context = WorkflowContext<Order>;
        type Args = ();
        type Return = workflow::Result<Receipt>;
        fn call(
            __ctx: Self::Context,
            (): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            order(__ctx)
        }
    }
};
