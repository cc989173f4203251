package smtpserver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The PROXY protocol, versions 1 and 2, as HAProxy documents it: the header that a
// proxy puts before the connections it passes on. Whoever sends one says who the
// client is, so only peers that are known to be proxies are asked for it.
const (
	signature = "\r\n\r\n\x00\r\nQUIT\n" // begins version 2; version 1 is never shorter
	maxLine   = 107                      // of version 1, CRLF included
	maxRest   = 4096                     // of version 2, behind the first 16 octets
)

// errHeader is in the error for a header that is none, or that does not say what we
// want to know.
var errHeader = errors.New("not a valid PROXY header")

// A proxyHeader says whose connection a proxy passes on. Both addresses are of one
// family. They are not valid if the connection is the proxy's own, as those that
// check our health are, or if the proxy does not know.
type proxyHeader struct {
	source, destination netip.AddrPort
}

// readHeader reads a header and not an octet more. It returns [io.EOF] if the peer went
// without a word.
func readHeader(r io.Reader) (proxyHeader, error) {
	start := make([]byte, len(signature), maxLine)
	n, err := io.ReadFull(r, start)
	switch {
	case n == 0 && errors.Is(err, syscall.ECONNRESET):
		return proxyHeader{}, io.EOF
	case err != nil:
		return proxyHeader{}, err
	case string(start) == signature:
		return readHeaderV2(r)
	case bytes.HasPrefix(start, []byte("PROXY ")):
		return readHeaderV1(r, start)
	}
	return proxyHeader{}, errHeader
}

// readHeaderV1 reads the rest of version 1: octet by octet, for what follows is not ours.
func readHeaderV1(r io.Reader, line []byte) (proxyHeader, error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		n := len(line)
		if n == maxLine {
			return proxyHeader{}, fmt.Errorf("%w: longer than %d octets", errHeader, maxLine)
		}
		line = line[:n+1]
		if _, err := io.ReadFull(r, line[n:]); err != nil {
			return proxyHeader{}, unexpected(err)
		}
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\r\n"), " ")
	if words[1] == "UNKNOWN" {
		return proxyHeader{}, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return proxyHeader{}, fmt.Errorf("%w: %q", errHeader, line)
	}
	source, err1 := parseAddrPort(words[2], words[4])
	destination, err2 := parseAddrPort(words[3], words[5])
	four := words[1] == "TCP4"
	if err1 != nil || err2 != nil || source.Addr().Is4() != four || destination.Addr().Is4() != four {
		return proxyHeader{}, fmt.Errorf("%w: %q", errHeader, line)
	}
	return proxyHeader{source, destination}, nil
}

// parseAddrPort reads an address and a port; a port has no sign and no needless zero.
func parseAddrPort(ip, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, errHeader
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, errHeader
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// readHeaderV2 reads the rest of version 2. Its additional fields are dropped.
func readHeaderV2(r io.Reader) (proxyHeader, error) {
	var fixed [4]byte // version and command, family and protocol, length
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return proxyHeader{}, unexpected(err)
	}
	length := int(binary.BigEndian.Uint16(fixed[2:]))
	if length > maxRest {
		return proxyHeader{}, fmt.Errorf("%w: %d octets", errHeader, length)
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return proxyHeader{}, unexpected(err)
	}
	const local, proxied = 0x20, 0x21
	const unspecified, tcp4, tcp6 = 0x00, 0x11, 0x21
	size := map[byte]int{tcp4: 4, tcp6: 16}[fixed[1]]
	switch {
	case fixed[0] == local, fixed[0] == proxied && fixed[1] == unspecified:
		return proxyHeader{}, nil
	case fixed[0] != proxied || size == 0 || len(rest) < 2*size+4:
		return proxyHeader{}, fmt.Errorf("%w: % x", errHeader, fixed)
	}
	ports := rest[2*size:]
	return proxyHeader{
		addrPort(rest[:size], ports[:2]),
		addrPort(rest[size:2*size], ports[2:4]),
	}, nil
}

func addrPort(ip, port []byte) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip) // of 4 or 16 octets
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
}

// acceptProxied reads the header of a connection and returns the connection with the
// addresses of the header. Reading it takes no longer than timeout; afterwards there
// is no read deadline. nc is not closed.
func acceptProxied(nc net.Conn, timeout time.Duration) (net.Conn, error) {
	if err := nc.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	h, err := readHeader(nc)
	if err != nil {
		return nil, err
	}
	if err := nc.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if !h.source.IsValid() {
		return nc, nil
	}
	return &proxiedConn{nc, h}, nil
}

// A proxiedConn is a connection that was passed on.
type proxiedConn struct {
	net.Conn
	header proxyHeader
}

// RemoteAddr is the client of the proxy.
func (c *proxiedConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.source) }

// LocalAddr is where the client has connected to.
func (c *proxiedConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.destination) }

// CloseWrite ends the sending direction.
func (c *proxiedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
