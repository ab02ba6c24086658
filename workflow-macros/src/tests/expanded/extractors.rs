/// Ships it.
#[cfg(feature = "orders")]
#[tracing::instrument]
pub(crate) async fn order(
    ctx: WorkflowContext<Order>,
    State(shop): State<Shop>,
    user: User,
) -> Result<Receipt, workflow::Error> {
    ctx.run("ship", async || shop.ship(user).await).await
}
#[cfg(feature = "orders")]
#[doc(hidden)]
#[allow(non_camel_case_types)]
pub(crate) struct order {}
#[cfg(feature = "orders")]
const _: () = {
    #[automatically_derived]
    #[allow(deprecated)]
    impl ::workflow::__private::WorkflowFn for order {
        const NAME: &'static ::core::primitive::str = "order";
        type Context = WorkflowContext<Order>;
        type Args = (State<Shop>, User);
        type Return = Result<Receipt, workflow::Error>;
        fn call(
            __ctx: Self::Context,
            (__arg_0, __arg_1): Self::Args,
        ) -> impl ::core::future::Future<Output = Self::Return> + ::core::marker::Send {
            order(__ctx, __arg_0, __arg_1)
        }
    }
};
