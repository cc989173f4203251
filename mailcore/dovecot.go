package mailcore

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DovecotAuth is an [Authenticator] that asks Dovecot, over the socket that
// Dovecot has for Postfix: version 1 of its client protocol. Whatever mechanism the
// mail client uses, Dovecot is told name and password by PLAIN. It is told the
// address of the client, too.
//
// A login is called what Dovecot calls it; it belongs to the site of its domain.
// When Dovecot cannot be asked or says that the trouble is its own, the client gets
// 454. A DovecotAuth may be used from many goroutines; it must not be copied.
type DovecotAuth struct {
	// Socket is the path of the Unix socket: that of the unix_listener which
	// Dovecot's service auth has for us.
	Socket string

	// Service is what Dovecot calls the protocol in its rules and its log. If
	// empty, "smtp".
	Service string

	// Timeout bounds a request, in which Dovecot waits some seconds before it says
	// that a password is wrong. If zero, 30 seconds.
	Timeout time.Duration

	mu   sync.Mutex
	idle []*dovecotConn
}

// maxDovecotIdle is how many connections are kept for later requests.
const maxDovecotIdle = 4

// maxDovecotLine bounds a line of the protocol, as Dovecot does, in octets.
const maxDovecotLine = 8192

// Authenticate implements [Authenticator].
func (d *DovecotAuth) Authenticate(ctx context.Context, name, password string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.Timeout, 30*time.Second))
	defer cancel()
	user, err := d.ask(ctx, name, password)
	switch {
	case err == nil:
		return Identity{Login: user}, nil
	case errors.Is(err, errWrongPassword):
		return Identity{}, err
	}
	return Identity{}, authTrouble(fmt.Errorf("dovecot: %w", err))
}

// Close closes the connections that are kept. The DovecotAuth stays usable.
func (d *DovecotAuth) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle {
		c.conn.Close()
	}
	d.idle = nil
}

// ask sends one request, over a new connection if the one that was kept is gone: that
// is how a restart of Dovecot looks.
func (d *DovecotAuth) ask(ctx context.Context, name, password string) (user string, err error) {
	if c := d.kept(); c != nil {
		user, err := d.askOver(ctx, c, name, password)
		if !errors.Is(err, errDovecotGone) || ctx.Err() != nil {
			return user, err
		}
	}
	c, err := dialDovecot(ctx, d.Socket)
	if err != nil {
		return "", err
	}
	return d.askOver(ctx, c, name, password)
}

func (d *DovecotAuth) askOver(ctx context.Context, c *dovecotConn, name, password string) (user string, err error) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	user, err = c.request(ctx, cmp.Or(d.Service, "smtp"), name, password)
	if !stop() {
		return "", errors.Join(context.Cause(ctx), err)
	}
	if err == nil || errors.Is(err, errWrongPassword) || errors.Is(err, errDovecotTrouble) {
		d.keep(c)
		return user, err
	}
	c.conn.Close()
	return "", err
}

func (d *DovecotAuth) kept() *dovecotConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) == 0 {
		return nil
	}
	c := d.idle[len(d.idle)-1]
	d.idle = d.idle[:len(d.idle)-1]
	return c
}

func (d *DovecotAuth) keep(c *dovecotConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= maxDovecotIdle {
		c.conn.Close()
		return
	}
	d.idle = append(d.idle, c)
}

var (
	errDovecotGone    = errors.New("the connection has ended")
	errDovecotTrouble = errors.New("a temporary failure of its own")
)

// A dovecotConn is a connection after the handshake. It serves one request at a
// time.
type dovecotConn struct {
	conn net.Conn
	r    *bufio.Reader
	last uint32 // request ID
}

// dialDovecot connects and shakes hands.
func dialDovecot(ctx context.Context, socket string) (*dovecotConn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	c := &dovecotConn{conn: conn, r: bufio.NewReaderSize(conn, maxDovecotLine)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = c.handshake()
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return c, nil
}

// handshake agrees on the version. The process ID that we give must be one that no
// other connection has given; it need not be ours.
func (c *dovecotConn) handshake() error {
	if _, err := fmt.Fprintf(c.conn, "VERSION\t1\t2\nCPID\t%d\n", 1+rand.Uint32N(1<<31-2)); err != nil {
		return err
	}
	version, plain := false, false
	for {
		word, err := c.line()
		if err != nil {
			return err
		}
		switch word[0] {
		case "VERSION":
			if len(word) < 2 || word[1] != "1" {
				return fmt.Errorf("version %q is unknown", word[1:])
			}
			version = true
		case "MECH":
			plain = plain || len(word) > 1 && word[1] == "PLAIN"
		case "DONE":
			switch {
			case !version:
				return errors.New("no version was given")
			case !plain:
				return errors.New("the mechanism PLAIN is not among auth_mechanisms")
			}
			return nil
		}
	}
}

// request has one password judged and returns the name that Dovecot gives its
// owner.
func (c *dovecotConn) request(ctx context.Context, service, name, password string) (user string, err error) {
	c.last++
	id := strconv.FormatUint(uint64(c.last), 10)
	var b strings.Builder
	fmt.Fprintf(&b, "AUTH\t%s\tPLAIN\tservice=%s\tsecured\tnologin", id, service)
	if client := ClientAddr(ctx); client.IsValid() {
		fmt.Fprintf(&b, "\trip=%s", client)
	}
	if strings.Contains(name+password, "\x00") {
		return "", errWrongPassword // Dovecot would take another name or password from it
	}
	fmt.Fprintf(&b, "\tresp=%s\n", base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password)))
	if b.Len() > maxDovecotLine {
		return "", errWrongPassword // longer than any that Dovecot would read
	}
	if _, err := c.conn.Write([]byte(b.String())); err != nil {
		return "", fmt.Errorf("%w: %w", errDovecotGone, err)
	}
	for {
		word, err := c.line()
		if err != nil {
			return "", err
		}
		if len(word) < 2 || word[1] != id {
			continue // of no request of ours, or of the handshake
		}
		switch word[0] {
		case "OK":
			return field(word[2:], "user", name), nil
		case "FAIL":
			if field(word[2:], "temp", "no") != "no" || field(word[2:], "code", "") == "temp_fail" {
				return "", errDovecotTrouble
			}
			return "", errWrongPassword
		case "CONT":
			return "", errors.New("it wants more than PLAIN has to say")
		}
	}
}

// line reads a line and splits it at its tabs.
func (c *dovecotConn) line() ([]string, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDovecotGone, err)
	}
	word := strings.Split(strings.TrimSuffix(string(line), "\n"), "\t")
	unescape := strings.NewReplacer("\x010", "\x00", "\x011", "\x01", "\x01t", "\t", "\x01r", "\r", "\x01n", "\n")
	for i := range word {
		word[i] = unescape.Replace(word[i])
	}
	return word, nil
}

// field finds a parameter; one without a value is empty.
func field(parameters []string, name, missing string) string {
	for _, p := range parameters {
		if key, value, _ := strings.Cut(p, "="); key == name {
			return value
		}
	}
	return missing
}
