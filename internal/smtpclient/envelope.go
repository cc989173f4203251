package smtpclient

import (
	"errors"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// An Envelope is what [Client.Send] says before the content. Parameters of
// extensions that the peer does not offer are left out, where that takes nothing
// from the message.
type Envelope struct {
	From     string      // the reverse-path without brackets; "" is <>
	To       []Recipient // at least one
	Size     int64       // octets of content before dot-stuffing; zero: not known
	EightBit bool        // the content has octets from 0x80 on: BODY=8BITMIME
	SMTPUTF8 bool        // the message was submitted with SMTPUTF8
	Ret      string      // RET: FULL, HDRS or empty
	EnvID    string      // ENVID, not encoded; empty: none

	// RequireTLS says REQUIRETLS (RFC 8689): a peer that does not offer it, or a
	// connection in clear, cannot take the message.
	RequireTLS bool
}

// A Recipient is a forward-path with its parameters.
type Recipient struct {
	Address string // without brackets
	Notify  string // NOTIFY: "NEVER", or a list such as "SUCCESS,FAILURE"; empty: none
	ORcpt   string // ORCPT, "type;address", not encoded; empty: none
}

// Lengths of encoded parameters (RFC 3461 section 4). What is longer is left out.
const (
	maxEnvID = 100
	maxORcpt = 500
)

// inASCII reports whether all addresses are.
func (e *Envelope) inASCII() bool {
	for i := range e.To {
		if !ascii(e.To[i].Address) {
			return false
		}
	}
	return ascii(e.From)
}

// A batch holds the commands of one transaction: RSET if there is something to
// reset, MAIL, RCPT for each recipient, DATA.
type batch struct {
	buf  []byte
	ends []int // the end of each command in buf, after its CRLF
	mail int   // the index of MAIL: 1 after an RSET, else 0
}

// command returns the i-th command with its CRLF.
func (b *batch) command(i int) []byte {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.buf[start:b.ends[i]]
}

// compose writes the commands of a transaction into c.batch. Nothing is sent, so
// that an error leaves the session as it was.
func (c *Client) compose(e *Envelope) error {
	b := &c.batch
	b.buf, b.ends, b.mail = b.buf[:0], b.ends[:0], 0
	if c.leftover {
		b.mail = 1
		b.line("RSET")
	}
	_, utf8 := c.ext["SMTPUTF8"]
	utf8 = utf8 && (e.SMTPUTF8 || !e.inASCII())
	if err := c.composeMail(e, utf8); err != nil {
		return err
	}
	for i := range e.To {
		if err := c.composeRcpt(i, &e.To[i], utf8); err != nil {
			return err
		}
	}
	b.line("DATA")
	return nil
}

func (b *batch) line(parts ...string) {
	for _, p := range parts {
		b.buf = append(b.buf, p...)
	}
	b.end()
}

func (b *batch) end() {
	b.buf = append(b.buf, "\r\n"...)
	b.ends = append(b.ends, len(b.buf))
}

func (c *Client) composeMail(e *Envelope, utf8 bool) error {
	from := ""
	if e.From != "" {
		var err error
		if from, err = wirePath(e.From, utf8); err != nil {
			return pathError(-1, err)
		}
	}
	b := &c.batch
	b.buf = append(b.buf, "MAIL FROM:<"...)
	b.buf = append(b.buf, from...)
	b.buf = append(b.buf, '>')
	if limit, ok := c.ext["SIZE"]; ok && e.Size > 0 {
		if n, err := strconv.ParseInt(limit, 10, 64); err == nil && n > 0 && e.Size > n {
			return &Unsendable{Reply{552, [3]int{5, 3, 4},
				"message of " + strconv.FormatInt(e.Size, 10) + " octets is over the limit of " + limit + " that the next hop declares"}}
		}
		b.buf = append(b.buf, " SIZE="...)
		b.buf = strconv.AppendInt(b.buf, e.Size, 10)
	}
	if _, ok := c.ext["8BITMIME"]; ok && e.EightBit {
		b.buf = append(b.buf, " BODY=8BITMIME"...)
	}
	if utf8 {
		b.buf = append(b.buf, " SMTPUTF8"...)
	}
	if _, ok := c.ext["DSN"]; ok {
		if e.Ret == "FULL" || e.Ret == "HDRS" {
			b.buf = append(b.buf, " RET="...)
			b.buf = append(b.buf, e.Ret...)
		}
		b.param(" ENVID=", "", e.EnvID, maxEnvID)
	}
	if e.RequireTLS {
		if _, ok := c.ext["REQUIRETLS"]; !ok || c.tls == nil {
			return &Unsendable{Reply{550, [3]int{5, 7, 30}, "the message needs REQUIRETLS, which the next hop does not offer"}}
		}
		b.buf = append(b.buf, " REQUIRETLS"...)
	}
	b.end()
	return nil
}

func (c *Client) composeRcpt(i int, r *Recipient, utf8 bool) error {
	to, err := wirePath(r.Address, utf8)
	if err != nil {
		return pathError(i, err)
	}
	b := &c.batch
	b.buf = append(b.buf, "RCPT TO:<"...)
	b.buf = append(b.buf, to...)
	b.buf = append(b.buf, '>')
	if _, ok := c.ext["DSN"]; ok {
		b.param(" NOTIFY=", "", r.Notify, maxORcpt)
		if kind, addr, ok := strings.Cut(r.ORcpt, ";"); ok && validName(kind) && ascii(addr) {
			b.param(" ORCPT=", kind+";", addr, maxORcpt)
		}
	}
	b.end()
	return nil
}

// param appends a parameter whose value goes as xtext (RFC 3461 section 4). An empty
// value is none, and so is one that comes out longer than limit.
func (b *batch) param(name, kind, value string, limit int) {
	if value == "" {
		return
	}
	start := len(b.buf)
	b.buf = append(b.buf, name...)
	b.buf = append(b.buf, kind...)
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c > '~' || c == '+' || c == '=' {
			const hex = "0123456789ABCDEF"
			b.buf = append(b.buf, '+', hex[c>>4], hex[c&15])
		} else {
			b.buf = append(b.buf, c)
		}
	}
	if len(b.buf)-start-len(name) > limit {
		b.buf = b.buf[:start]
	}
}

// errNeedsUTF8 says that a local-part cannot be written in ASCII.
var errNeedsUTF8 = errors.New("the local-part needs SMTPUTF8")

// wirePath parses an address again and writes it for the wire: what is not an
// address never gets there, whoever let it in. Without SMTPUTF8 a domain of
// U-labels becomes its A-labels.
func wirePath(s string, utf8 bool) (string, error) {
	a, err := address.Parse(s)
	if err != nil {
		return "", err
	}
	if utf8 || !a.NeedsUTF8() {
		return a.String(), nil
	}
	if !ascii(a.Local) {
		return "", errNeedsUTF8
	}
	if a.Domain, err = a.ASCIIDomain(); err != nil {
		return "", err
	}
	return a.String(), nil
}

// pathError is the error for the address of recipient i, or for the reverse-path if i
// is negative. Only the recipient suffers for an address that this peer cannot take.
func pathError(i int, err error) error {
	if errors.Is(err, errNeedsUTF8) {
		err = needsUTF8()
		if i < 0 {
			return err
		}
	}
	return &AddressError{i, err}
}

// needsUTF8 is the verdict of RFC 6531 section 3.5 (status of RFC 6533).
func needsUTF8() error {
	return &Unsendable{Reply{553, [3]int{5, 6, 7}, "the message needs SMTPUTF8, which the next hop does not offer"}}
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
