//! A TCP stream that acknowledges at once while a session is being set up.
//!
//! Until the first command runs, sshd leaves Nagle's algorithm on: a small packet waits until
//! the one before is acknowledged. Our side would delay that acknowledgement by 40 ms, in the
//! hope of sending it along with an answer, but there is no answer to send: we are waiting for
//! the very packet that sshd holds back, such as the confirmation of a channel behind the
//! announcement of its host keys. Asking the kernel to acknowledge at once takes those 40 ms
//! away.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Enough reads for key exchange, login and the start of the first command.
const PROMPT_READS: u8 = 32;

/// See the module's description.
pub(crate) struct PromptStream {
    stream: TcpStream,
    prompt_reads: u8,
}

impl PromptStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            prompt_reads: PROMPT_READS,
        }
    }

    /// The kernel falls back to delaying by itself, so it is asked after every read.
    fn acknowledge(&mut self) {
        if self.prompt_reads == 0 {
            return;
        }
        self.prompt_reads -= 1;
        if let Err(error) = rustix::net::sockopt::set_tcp_quickack(&self.stream, true) {
            // It costs some milliseconds and nothing else.
            tracing::debug!(%error, "no prompt acknowledgements");
            self.prompt_reads = 0;
        }
    }
}

impl AsyncRead for PromptStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.acknowledge();
        }
        polled
    }
}

impl AsyncWrite for PromptStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
