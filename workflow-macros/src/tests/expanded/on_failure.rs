async fn order(
    ctx: WorkflowContext<Order>,
    State(shop): State<Shop>,
) -> workflow::Result<Receipt> {
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
            .handles_failure();
        type Context = WorkflowContext<Order>;
        type Args = (State<Shop>,);
        type Return = workflow::Result<Receipt>;
        fn call(
            __ctx: Self::Context,
            (__arg_0,): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            order(__ctx, __arg_0)
        }
        async fn failed(
            __failed: ::workflow::FailedRun<::workflow::__private::PayloadOf<Self>>,
            (__arg_0,): Self::Args,
        ) -> ::workflow::Result<::std::string::String> {
            ::workflow::__private::failure_result(
                ::workflow::__private::failure_call(support::tell(__failed, __arg_0))
                    .await,
            )
        }
    }
};
