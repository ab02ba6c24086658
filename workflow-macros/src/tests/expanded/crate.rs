async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<Receipt> {
    ctx.run("ship", async || shop.ship().await).await
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
struct order {}
const _: () = {
    #[automatically_derived]
    #[allow(deprecated)]
    impl crate::reexport::durable::__private::WorkflowFn for order {
        const NAME: &'static ::core::primitive::str = "order";
        const OPTIONS: crate::reexport::durable::__private::WorkflowOptions = crate::reexport::durable::__private::WorkflowOptions::new()
            .flow_control(crate::reexport::durable::__private::FlowLimits {
                key: "shop",
                parallelism: ::core::option::Option::Some(3),
                rate: ::core::option::Option::None,
                period: ::core::option::Option::None,
            })
            .handles_failure();
        type Context = crate::reexport::durable::__private::Parsed<
            WorkflowContext<Order>,
        >;
        type Args = ();
        type Return = workflow::Result<Receipt>;
        fn call(
            __ctx: Self::Context,
            (): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            order(__ctx.0)
        }
        fn parse(
            __body: &crate::reexport::durable::__private::Bytes,
        ) -> ::core::result::Result<
            crate::reexport::durable::__private::PayloadOf<Self>,
            crate::reexport::durable::__private::PayloadError,
        > {
            let __body: &[::core::primitive::u8] = __body;
            let __read: ::core::result::Result<
                crate::reexport::durable::__private::PayloadOf<Self>,
                _,
            > = read(__body);
            crate::reexport::durable::__private::parsed(__read)
        }
        fn validate(
            __payload: &crate::reexport::durable::__private::PayloadOf<Self>,
        ) -> ::core::result::Result<
            (),
            crate::reexport::durable::__private::PayloadError,
        > {
            let __checked: ::core::result::Result<(), _> = check(__payload);
            crate::reexport::durable::__private::validated(__checked)
        }
        async fn failed(
            __failed: crate::reexport::durable::FailedRun<
                crate::reexport::durable::__private::PayloadOf<Self>,
            >,
            (): Self::Args,
        ) -> crate::reexport::durable::Result<::std::string::String> {
            crate::reexport::durable::__private::failure_result(
                crate::reexport::durable::__private::failure_call(
                        <Shop as Support>::tell::<Order>(__failed),
                    )
                    .await,
            )
        }
    }
};
