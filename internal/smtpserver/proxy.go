package smtpserver

import (
	"context"
	"io"
	"net"
	"time"
)

// headerTimeout is how long a proxy may take to say whose connection it is.
const headerTimeout = 5 * time.Second

// unproxied is the connection of the client behind a proxy, or nc if there is no
// proxy. It is not ok if a proxy does not say who that is; then nobody is served.
func (s *Server) unproxied(ctx context.Context, nc net.Conn) (_ net.Conn, ok bool) {
	proxy := clientIP(nc)
	if !proxy.IsValid() || !within(s.ProxyNetworks, proxy) {
		return nc, true
	}
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	c, err := acceptProxied(nc, min(headerTimeout, s.timeout()))
	switch {
	case err == nil:
		return c, true
	case err == io.EOF, ctx.Err() != nil: // looked whether we are there; or we stop
	default:
		s.log().WarnContext(ctx, "no PROXY header", "proxy", proxy.String(), "error", err)
	}
	return nil, false
}
