package smtpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say how to open a session.
type Options struct {
	// HELO is the name we give in EHLO, HELO or LHLO. Required.
	HELO string

	// LMTP speaks RFC 2033: LHLO, and a reply for each recipient after the
	// content. If false, SMTP.
	LMTP bool

	// Extended says that the session needs a service extension, such as STARTTLS
	// or AUTH: a refusal of EHLO is the end then, for HELO would bring none.
	Extended bool

	// TLS wraps the connection before the greeting, as on port 465 (RFC 8314).
	// If nil, the session begins in clear.
	TLS *tls.Config

	Timeouts Timeouts
}

// Timeouts bound the wait for each reply, and each write. The defaults are those
// of RFC 5321 section 4.5.3.2.
type Timeouts struct {
	Greeting time.Duration // for the greeting; if zero, 5 minutes
	Hello    time.Duration // EHLO, HELO, LHLO; if zero, 5 minutes
	StartTLS time.Duration // the reply, and then the handshake; if zero, 5 minutes
	Auth     time.Duration // each exchange; if zero, 5 minutes
	Mail     time.Duration // MAIL; if zero, 5 minutes
	Rcpt     time.Duration // RCPT; if zero, 5 minutes
	Data     time.Duration // the 354 after DATA; if zero, 2 minutes
	Block    time.Duration // each write of at most 16 KiB of content, see MinRate; if zero, 3 minutes
	Dot      time.Duration // the reply after the content; if zero, 10 minutes
	Reset    time.Duration // RSET; if zero, 20 seconds
	Quit     time.Duration // writing QUIT, whose reply nobody waits for; if zero, 2 seconds

	// MinRate is the least rate in octets a second at which the peer must take
	// content: waiting for it uses up Block, and every MinRate octets give a
	// second back. If zero, 1000; if negative, none.
	MinRate int
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&t.Greeting, 5 * time.Minute}, {&t.Hello, 5 * time.Minute}, {&t.StartTLS, 5 * time.Minute},
		{&t.Auth, 5 * time.Minute}, {&t.Mail, 5 * time.Minute}, {&t.Rcpt, 5 * time.Minute},
		{&t.Data, 2 * time.Minute}, {&t.Block, 3 * time.Minute}, {&t.Dot, 10 * time.Minute},
		{&t.Reset, 20 * time.Second}, {&t.Quit, 2 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	t.MinRate = cmp.Or(t.MinRate, 1000)
	return t
}

// A Client is a session with one peer. Its methods are called one at a time,
// but for Close, which may be called whenever it seems right.
//
// A context that ends while a method waits ends the wait and the connection.
type Client struct {
	options  Options
	timeouts Timeouts

	raw     net.Conn // what was given to Greet
	conn    net.Conn // raw, or TLS over it
	tls     *tls.ConnectionState
	replies replyReader
	log     transcript
	ext     map[string]string // keyword in upper case: parameters

	*buffers               // while a method runs, or the peer spoke out of turn
	onWrite  time.Duration // the limit for the next write at this step
	content  bool          // onWrite is what is left of the time for content
	leave    func() bool   // ends the watch over the context of the running method
	cut      func()        // c.interrupt, bound once

	mu          sync.Mutex // guards deadlines against those who cut them short
	interrupted bool       // the context is done
	spoken      bool       // the peer has replied in mid-content

	broken    error // why nothing more can be said
	goodbye   bool  // the peer said 421 or broke the order of the dialogue
	sent      bool  // a message was sent in this session
	leftover  bool  // a transaction is open that the next has to reset
	listening bool  // a listener reads
	batch     batch
}

// Sizes of buffers. A message of up to blockSize goes out in one write.
const (
	readSize  = 4 << 10
	blockSize = 16 << 10
)

// Greet waits for the greeting on conn and introduces us: EHLO, and HELO if the
// peer refuses that and [Options] allow it. The Client owns conn from here on; if Greet fails, conn is
// closed. The error is a [*Refusal] or an [*Error].
func Greet(ctx context.Context, conn net.Conn, o Options) (*Client, error) {
	if !validName(o.HELO) {
		conn.Close()
		return nil, fmt.Errorf("%q is no name for EHLO", o.HELO)
	}
	c := &Client{options: o, timeouts: o.Timeouts.withDefaults(), raw: conn, conn: conn}
	c.cut = c.interrupt
	c.replies.log = &c.log
	err := c.open(ctx)
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		c.Quit()
	case err != nil:
		c.Close()
	default:
		return c, nil
	}
	return nil, err
}

func (c *Client) open(ctx context.Context) (err error) {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end(ctx, &err)
	if c.options.TLS != nil {
		if err := c.handshake(c.options.TLS); err != nil {
			return err
		}
	}
	greeting, err := c.reply(StepGreeting, c.timeouts.Greeting)
	if err != nil {
		return err
	}
	if !greeting.OK() {
		return refusal(StepGreeting, greeting)
	}
	return c.hello()
}

// hello introduces us and learns what the peer offers.
func (c *Client) hello() error {
	verb := "EHLO "
	if c.options.LMTP {
		verb = "LHLO "
	}
	reply, err := c.command(StepHello, c.timeouts.Hello, verb+c.options.HELO)
	if err != nil {
		return err
	}
	c.ext = map[string]string{}
	switch {
	case reply.OK():
		c.learn(reply.Text)
		return nil
	case reply.refused() && reply.Code != 421 && !c.options.LMTP && !c.options.Extended: // RFC 5321 section 3.2
		reply, err = c.command(StepHello, c.timeouts.Hello, "HELO "+c.options.HELO)
		if err != nil || reply.OK() {
			return err
		}
	}
	return refusal(StepHello, reply)
}

// Extensions are the service extensions that the peer offers, each a keyword in upper
// case with its parameters, in order of the alphabet.
func (c *Client) Extensions() []string {
	var all []string
	for keyword, params := range c.ext {
		all = append(all, strings.TrimSpace(keyword+" "+params))
	}
	slices.Sort(all)
	return all
}

// StartTLS asks for TLS and does the handshake, then says EHLO anew: what was
// learnt in clear is forgotten (RFC 3207 section 4.2). A [*Refusal] at StepStartTLS
// leaves the session in order and in clear. After any other error the connection
// is closed, without another octet.
func (c *Client) StartTLS(ctx context.Context, config *tls.Config) (err error) {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end(ctx, &err)
	reply, err := c.command(StepStartTLS, c.timeouts.StartTLS, "STARTTLS")
	if err != nil {
		return err
	}
	if reply.Code != 220 {
		return refusal(StepStartTLS, reply)
	}
	// Whatever stands here was sent in clear, by anybody.
	if err := c.unasked(StepStartTLS); err != nil {
		return err
	}
	if err := c.handshake(config); err != nil {
		return err
	}
	return c.hello()
}

func (c *Client) handshake(config *tls.Config) error {
	conn := tls.Client(c.raw, config)
	c.armRead(c.timeouts.StartTLS)
	c.armWrite(c.timeouts.StartTLS)
	if err := conn.Handshake(); err != nil {
		return &Error{StepHandshake, err}
	}
	state := conn.ConnectionState()
	c.tls = &state
	c.conn = conn
	c.r.Reset(conn)
	return nil
}

// TLSState returns the state of the handshake, nil in clear.
func (c *Client) TLSState() *tls.ConnectionState { return c.tls }

// Reset ends a transaction that was begun and not completed. Send does it by
// itself, without an extra round trip if the peer takes pipelined commands.
func (c *Client) Reset(ctx context.Context) (err error) {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end(ctx, &err)
	reply, err := c.command(StepReset, c.timeouts.Reset, "RSET")
	if err != nil {
		return err
	}
	if !reply.OK() {
		return &Error{StepReset, malformed("%v", reply)}
	}
	c.leftover = false
	return nil
}

// Reusable reports whether the connection is fit for another message, as far as
// can be told without asking.
func (c *Client) Reusable() bool { return c.broken == nil && !c.goodbye }

// Quit says QUIT if the connection is in order, and closes it without waiting for
// an answer.
func (c *Client) Quit() {
	if c.broken == nil && !c.goodbye {
		c.onWrite = c.timeouts.Quit
		if _, err := io.WriteString(timedWriter{c}, "QUIT\r\n"); err == nil {
			c.conn.Close() // over TLS with its close_notify
		}
	}
	c.shut(ErrClosed)
}

// Close closes the connection as it is. It interrupts what another goroutine
// does with it.
func (c *Client) Close() error { return c.raw.Close() }

// Transcript is the end of the dialogue since the session began, or since the last
// Send if that was not the first: at most 4 KiB, without content and without
// what authenticates us.
func (c *Client) Transcript() string { return string(c.log.tail()) }

// validName reports whether a name can be said in EHLO: printable ASCII without
// blanks.
func validName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// refusal is the error for a reply that is not the one hoped for.
func refusal(step Step, r Reply) error {
	if !r.refused() {
		return &Error{step, malformed("unexpected reply %v", r)}
	}
	return &Refusal{step, r}
}
