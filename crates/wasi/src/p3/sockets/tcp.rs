//! `tcp-socket` of `wasi:sockets/types`.

use super::{SocketResult, TURNS, ask, ask_with};
use crate::Errno;
use crate::io::Interest;
use crate::io::waiting::{Waiting, Watch};
use crate::net::{
    self, Listener, SocketAddrUse, TcpInput, TcpOutput, WasiSockets, WasiSocketsCtx,
    WasiSocketsCtxView,
};
use crate::p3::bindings::sockets::types::{
    ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use crate::p3::stream::{self, Ended, Reading};
use mintage::component::{
    Access, Destination, FutureReader, StreamProducer, StreamReader, StreamResult,
};
use mintage::{Accessor, AsContextMut, Resource, Result, StoreContextMut};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// A TCP socket of a guest, with the streams that the guest has not asked for yet.
#[derive(Debug)]
pub struct TcpSocket {
    socket: net::TcpSocket,
    input: Option<TcpInput>,
    output: Option<TcpOutput>,
}

type Socket = Resource<TcpSocket>;

impl TcpSocket {
    fn new(socket: net::TcpSocket) -> Self {
        TcpSocket {
            socket,
            input: None,
            output: None,
        }
    }

    fn connected(&mut self, (input, output): (TcpInput, TcpOutput)) {
        self.input = Some(input);
        self.output = Some(output);
    }
}

/// Defines functions for options of sockets.
macro_rules! options {
    ($($get:ident $set:ident: $ty:ty = $getter:ident $setter:ident;)*) => {$(
        fn $get(&mut self, socket: Socket) -> SocketResult<$ty> {
            Ok(self.table.get(&socket)?.socket.socket()?.$getter()?)
        }

        fn $set(&mut self, socket: Socket, value: $ty) -> SocketResult<()> {
            Ok(self.table.get(&socket)?.socket.socket()?.$setter(value)?)
        }
    )*};
}

impl HostTcpSocket for WasiSocketsCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        let socket = net::TcpSocket::new(self.ctx, family.into())?;
        Ok(self.table.push(TcpSocket::new(socket))?)
    }

    async fn bind(&mut self, socket: Socket, address: IpSocketAddress) -> SocketResult<()> {
        let address = SocketAddr::from(address);
        self.table.get(&socket)?.socket.check_bind(address)?;
        let rules = &self.ctx.rules;
        rules.check(address, SocketAddrUse::TcpBind).await?;
        Ok(self.table.get_mut(&socket)?.socket.bind(address)?)
    }

    fn get_local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&socket)?.socket.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&socket)?.socket.remote_address()?.into())
    }

    fn get_is_listening(&mut self, socket: Socket) -> Result<bool> {
        Ok(self.table.get(&socket)?.socket.is_listening())
    }

    fn get_address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.socket.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.socket.set_backlog(value)?)
    }

    options! {
        get_keep_alive_enabled set_keep_alive_enabled: bool
            = keep_alive_enabled set_keep_alive_enabled;
        get_keep_alive_idle_time set_keep_alive_idle_time: u64
            = keep_alive_idle_time set_keep_alive_idle_time;
        get_keep_alive_interval set_keep_alive_interval: u64
            = keep_alive_interval set_keep_alive_interval;
        get_keep_alive_count set_keep_alive_count: u32
            = keep_alive_count set_keep_alive_count;
        get_receive_buffer_size set_receive_buffer_size: u64
            = receive_buffer_size set_receive_buffer_size;
        get_send_buffer_size set_send_buffer_size: u64
            = send_buffer_size set_send_buffer_size;
    }

    fn get_hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
        let socket = &self.table.get(&socket)?.socket;
        Ok(socket.socket()?.hop_limit(socket.family())?)
    }

    fn set_hop_limit(&mut self, socket: Socket, value: u8) -> SocketResult<()> {
        let socket = &self.table.get(&socket)?.socket;
        Ok(socket.socket()?.set_hop_limit(socket.family(), value)?)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostTcpSocketWithStore<T> for WasiSockets {
    async fn connect(
        accessor: &Accessor<T, Self>,
        socket: Socket,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        let address = SocketAddr::from(address);
        let check = || {
            accessor.with(|mut access| -> SocketResult<_> {
                let view = access.get();
                Ok(view.table.get(&socket)?.socket.check_connect(address)?)
            })
        };
        if let Some(implicit) = check()? {
            ask(accessor, implicit).wait().await?;
        }
        let usage = (address, SocketAddrUse::TcpConnect);
        ask(accessor, usage).wait().await?;
        // Another call of the guest may have used the socket meanwhile.
        check()?;
        accessor.with(|mut access| -> SocketResult<()> {
            let socket = access.get().table.get_mut(&socket)?;
            socket.socket.start_connect(address);
            Ok(())
        })?;
        let mut watch = Watch::default();
        poll_fn(|cx| {
            accessor.with(|mut access| poll_connected(cx, &mut access, &socket, &mut watch))
        })
        .await
    }

    async fn listen(
        mut host: Access<'_, T, Self>,
        socket: Socket,
    ) -> SocketResult<StreamReader<Socket>> {
        let implicit = host.get().table.get(&socket)?.socket.implicit();
        if let Some(address) = implicit {
            host.get().table.get(&socket)?.socket.check_bind(address)?;
            let permission = ask_with(&mut host, (address, SocketAddrUse::TcpBind));
            permission.wait().await?;
            host.get().table.get_mut(&socket)?.socket.bind(address)?;
        }
        let address = host.get().table.get(&socket)?.socket.check_listen()?;
        let permission = ask_with(&mut host, (address, SocketAddrUse::TcpListen));
        permission.wait().await?;
        let getter = host.getter();
        let view = host.get();
        let socket = &mut view.table.get_mut(&socket)?.socket;
        socket.listen()?;
        let connections = Connections {
            listener: Waiting::new(socket.listener()?),
            ctx: view.ctx.clone(),
            view: getter,
            pause: None,
        };
        StreamReader::new(host, connections).map_err(super::SocketError::trap)
    }

    fn send(
        mut host: Access<'_, T, Self>,
        socket: Socket,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ended<ErrorCode>>> {
        let output = host.get().table.get_mut(&socket)?.output.take();
        match output {
            Some(output) => stream::write(host, data, Box::new(output.shutting_down()), None),
            None => stream::failed_writing(host, data, Errno::NotConnected),
        }
    }

    fn receive(mut host: Access<'_, T, Self>, socket: Socket) -> Result<Reading<ErrorCode>> {
        let input = host.get().table.get_mut(&socket)?.input.take();
        match input {
            Some(input) => stream::read(host, Box::new(input.shutting_down()), None),
            None => stream::failed_reading(host, Errno::NotConnected),
        }
    }
}

/// Waits until a socket is connected.
fn poll_connected<T: 'static>(
    cx: &mut Context<'_>,
    access: &mut Access<'_, T, WasiSockets>,
    socket: &Socket,
    watch: &mut Watch,
) -> Poll<SocketResult<()>> {
    let socket = access.get().table.get_mut(socket)?;
    loop {
        match socket.socket.finish_connect() {
            Ok(streams) => {
                socket.connected(streams);
                return Poll::Ready(Ok(()));
            }
            Err(Errno::Again) => {}
            Err(error) => return Poll::Ready(Err(error.into())),
        }
        let fd = socket.socket.connecting()?;
        ready!(watch.poll_fd(cx, fd, Interest::Write)).map_err(super::SocketError::trap)?;
    }
}

/// How long no connections are accepted if there are too many sockets.
const PAUSE: Duration = Duration::from_millis(20);

/// The connections of a socket that listens, for a guest.
struct Connections<T: 'static> {
    listener: Waiting<Listener>,
    ctx: WasiSocketsCtx,
    view: fn(&mut T) -> WasiSocketsCtxView<'_>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<T: 'static> Connections<T> {
    /// Accepts a connection, or, if the guest asks only, waits until there is one.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        asks_only: bool,
    ) -> Poll<std::result::Result<Option<TcpSocket>, Errno>> {
        for _ in 0..TURNS {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if let Some(listener) = self.listener.idle()
                && !asks_only
            {
                match listener.accept(&self.ctx) {
                    Ok((socket, input, output)) => {
                        let mut socket = TcpSocket::new(socket);
                        socket.connected((input, output));
                        return Poll::Ready(Ok(Some(socket)));
                    }
                    Err(Errno::Again) => {}
                    // The other side has gone again.
                    Err(Errno::ConnectionAborted) => continue,
                    // The connection waits until the guest or the system has fewer of them.
                    Err(
                        Errno::TooManyFiles
                        | Errno::TooManyFilesInSystem
                        | Errno::NoBufferSpace
                        | Errno::NoMemory,
                    ) => {
                        let sleep = || Box::pin(tokio::time::sleep(PAUSE));
                        self.pause = Some(crate::io::wait::in_runtime(sleep));
                        continue;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            ready!(self.listener.poll_ready(cx)).map_err(|_| Errno::NoMemory)?;
            if asks_only {
                return Poll::Ready(Ok(None));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: 'static> StreamProducer<T> for Connections<T> {
    type Item = Socket;
    type Buffer = Option<Socket>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Socket, Option<Socket>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        let asks_only = destination.remaining(store.as_context_mut()) == Some(0);
        Poll::Ready(match this.poll_accept(cx, asks_only) {
            Poll::Ready(Ok(Some(socket))) => {
                let view = (this.view)(store.data_mut());
                destination.set_buffer(Some(view.table.push(socket)?));
                Ok(StreamResult::Completed)
            }
            Poll::Ready(Ok(None)) => Ok(StreamResult::Completed),
            // The socket accepts nothing any more.
            Poll::Ready(Err(_)) => Ok(StreamResult::Dropped),
            Poll::Pending if finish => Ok(StreamResult::Cancelled),
            Poll::Pending => return Poll::Pending,
        })
    }
}
