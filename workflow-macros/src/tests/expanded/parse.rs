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
        type Context = ::workflow::__private::Parsed<WorkflowContext<Order>>;
        type Args = ();
        type Return = workflow::Result<Receipt>;
        fn call(
            __ctx: Self::Context,
            (): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            order(__ctx.0)
        }
        fn parse(
            __body: &::workflow::__private::Bytes,
        ) -> ::core::result::Result<
            ::workflow::__private::PayloadOf<Self>,
            ::workflow::__private::PayloadError,
        > {
            let __body: &[::core::primitive::u8] = __body;
            let __read: ::core::result::Result<
                ::workflow::__private::PayloadOf<Self>,
                _,
            > = Order::from_xml(__body);
            ::workflow::__private::parsed(__read)
        }
    }
};
