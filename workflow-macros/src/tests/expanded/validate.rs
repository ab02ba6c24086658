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
        type Context = WorkflowContext<Order>;
        type Args = ();
        type Return = workflow::Result<Receipt>;
        fn call(
            __ctx: Self::Context,
            (): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            order(__ctx)
        }
        fn validate(
            __payload: &::workflow::__private::PayloadOf<Self>,
        ) -> ::core::result::Result<(), ::workflow::__private::PayloadError> {
            let __checked: ::core::result::Result<(), _> = garde::Validate::validate(
                __payload,
            );
            ::workflow::__private::validated(__checked)
        }
    }
};
