//! An address that answers nobody.
#![allow(dead_code)]

/// Accepts no connection and has no room for one more: who connects waits.
pub struct Deaf {
    _listener: socket2::Socket,
    _filling: Vec<socket2::Socket>,
}

impl Deaf {
    pub fn new() -> (Self, std::net::SocketAddr) {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let filling = (0..4).map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            drop(socket.connect(&address));
            socket
        });
        let filling = filling.collect();
        (Self { _listener: listener, _filling: filling }, address.as_socket().unwrap())
    }
}
