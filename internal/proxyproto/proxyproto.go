// Package proxyproto reads the header that a proxy puts before the connections it
// passes on: the PROXY protocol, versions 1 and 2, as HAProxy documents it.
//
// Whoever sends a header says who the client is, so only peers that are known to be
// proxies may be asked for one. From them it is required.
package proxyproto

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

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n" // begins version 2; version 1 is never shorter
	maxLine   = 107                      // of version 1, CRLF included
	maxRest   = 4096                     // of version 2, behind the first 16 octets
)

// ErrHeader is in the error for a header that is none, or that does not say what we
// want to know.
var ErrHeader = errors.New("not a valid PROXY header")

// A Header says whose connection a proxy passes on. Both addresses are of one
// family. They are not valid if the connection is the proxy's own, as those that
// check our health are, or if the proxy does not know.
type Header struct {
	Source, Destination netip.AddrPort
}

// Read reads a header and not an octet more. It returns [io.EOF] if the peer went
// without a word.
func Read(r io.Reader) (Header, error) {
	start := make([]byte, len(signature), maxLine)
	n, err := io.ReadFull(r, start)
	switch {
	case n == 0 && errors.Is(err, syscall.ECONNRESET):
		return Header{}, io.EOF
	case err != nil:
		return Header{}, err
	case string(start) == signature:
		return readBinary(r)
	case bytes.HasPrefix(start, []byte("PROXY ")):
		return readLine(r, start)
	}
	return Header{}, ErrHeader
}

// readLine reads the rest of version 1: octet by octet, for what follows is not ours.
func readLine(r io.Reader, line []byte) (Header, error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		n := len(line)
		if n == maxLine {
			return Header{}, fmt.Errorf("%w: longer than %d octets", ErrHeader, maxLine)
		}
		line = line[:n+1]
		if _, err := io.ReadFull(r, line[n:]); err != nil {
			return Header{}, cut(err)
		}
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\r\n"), " ")
	if words[1] == "UNKNOWN" {
		return Header{}, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return Header{}, fmt.Errorf("%w: %q", ErrHeader, line)
	}
	source, err1 := parseAddrPort(words[2], words[4])
	destination, err2 := parseAddrPort(words[3], words[5])
	four := words[1] == "TCP4"
	if err1 != nil || err2 != nil || source.Addr().Is4() != four || destination.Addr().Is4() != four {
		return Header{}, fmt.Errorf("%w: %q", ErrHeader, line)
	}
	return Header{source, destination}, nil
}

// parseAddrPort reads an address and a port; a port has no sign and no needless zero.
func parseAddrPort(ip, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, ErrHeader
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, ErrHeader
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// readBinary reads the rest of version 2. Its additional fields are dropped.
func readBinary(r io.Reader) (Header, error) {
	var fixed [4]byte // version and command, family and protocol, length
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return Header{}, cut(err)
	}
	length := int(binary.BigEndian.Uint16(fixed[2:]))
	if length > maxRest {
		return Header{}, fmt.Errorf("%w: %d octets", ErrHeader, length)
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Header{}, cut(err)
	}
	const local, proxied = 0x20, 0x21
	const unspecified, tcp4, tcp6 = 0x00, 0x11, 0x21
	size := map[byte]int{tcp4: 4, tcp6: 16}[fixed[1]]
	switch {
	case fixed[0] == local, fixed[0] == proxied && fixed[1] == unspecified:
		return Header{}, nil
	case fixed[0] != proxied || size == 0 || len(rest) < 2*size+4:
		return Header{}, fmt.Errorf("%w: % x", ErrHeader, fixed)
	}
	ports := rest[2*size:]
	return Header{
		addrPort(rest[:size], ports[:2]),
		addrPort(rest[size:2*size], ports[2:4]),
	}, nil
}

func addrPort(ip, port []byte) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip) // of 4 or 16 octets
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
}

// cut is the error for a header that breaks off.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Accept reads the header of a connection and returns the connection with the
// addresses of the header. Reading it takes no longer than timeout; afterwards there
// is no read deadline. nc is not closed.
func Accept(nc net.Conn, timeout time.Duration) (net.Conn, error) {
	if err := nc.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	h, err := Read(nc)
	if err != nil {
		return nil, err
	}
	if err := nc.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if !h.Source.IsValid() {
		return nc, nil
	}
	return &conn{nc, h}, nil
}

// conn is a connection that was passed on.
type conn struct {
	net.Conn
	header Header
}

// RemoteAddr is the client of the proxy.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.Source) }

// LocalAddr is where the client has connected to.
func (c *conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.Destination) }

// CloseWrite ends the sending direction.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
