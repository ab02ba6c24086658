//! An app on loopback that ends with the test.

use std::net::SocketAddr;

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};

/// A router that is served on a free port of 127.0.0.1 until it is dropped.
pub struct Served {
    url: String,
    task: JoinHandle<()>,
}

impl Served {
    /// Takes a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn listen() -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port of 127.0.0.1");
        Listening(listener)
    }

    /// Serves a router on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start(router: Router) -> Self {
        Self::listen().await.serve(router)
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that is taken but not served yet: for apps that must know their own address.
pub struct Listening(TcpListener);

impl Listening {
    /// Where it will be served.
    ///
    /// # Panics
    /// If the socket has no address.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("a bound socket has an address"))
    }

    /// Serves a router there.
    pub fn serve(self, router: Router) -> Served {
        let url = self.url();
        let task = tokio::spawn(async move {
            let router = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(self.0, router).await.expect("the test's server goes on until it is aborted");
        });
        Served { url, task }
    }
}
