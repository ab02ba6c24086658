async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<()> {
    let now = SystemTime::now();
    let _ = ctx.run("ship", async || Ok(()));
    Ok(())
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
        type Return = workflow::Result<()>;
        fn call(
            __ctx: Self::Context,
            (): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            order(__ctx)
        }
    }
    #[warn(deprecated)]
    {
        #[deprecated(
            note = "this step never runs: a step does nothing until it is awaited; write `.run(..).await?`"
        )]
        const STEP_NOT_AWAITED: u8 = 0;
        let _ = STEP_NOT_AWAITED;
    }
};
