package smtpserver

import (
	"bytes"
	"cmp"
	"errors"
	"io"
)

// A framer finds the content in what the client sends.
type framer interface {
	// next returns the octets of content that follow, at least one; they are
	// valid until the next call. It returns io.EOF after the last octet, and
	// any other error if the content will never be complete.
	next() ([]byte, error)

	// drain reads and drops what belongs to the content and is under way.
	drain() error
}

// content is what [Transaction.Data] reads.
type content struct {
	frame framer
	rules rules
	run   []byte // not yet read
	err   error  // after run; final
}

// Read implements [io.Reader].
func (c *content) Read(p []byte) (int, error) {
	if len(c.run) == 0 {
		c.fill()
	}
	if len(c.run) == 0 {
		return 0, c.err
	}
	n := copy(p, c.run)
	c.run = c.run[n:]
	return n, nil
}

// fill gets the next run, or the error that ends the content.
func (c *content) fill() {
	if c.err != nil {
		return
	}
	run, err := c.frame.next()
	switch err {
	case nil:
		err = c.rules.check(run)
	case io.EOF:
		err = cmp.Or(c.rules.end(), err)
	}
	if err != nil {
		c.err = err
		return
	}
	c.run = run
}

// complete reports whether everything was read and nothing was wrong.
func (c *content) complete() bool { return c.err == io.EOF }

// refusal is the answer if the content itself was refused.
func (c *content) refusal() (answer, bool) { return errors.AsType[answer](c.err) }

// rules are what content must keep to.
type rules struct {
	strict bool  // no bare CR, bare LF or NUL
	left   int64 // octets that may still come
	max    int   // octets in a line

	line   int  // octets of the line so far
	lastCR bool // the last octet was CR
}

// check judges the next octets of content.
func (r *rules) check(run []byte) error {
	if r.left -= int64(len(run)); r.left < 0 {
		return answer{552, "5.3.4", "Error: message file too big"}
	}
	pairs, bareLF := 0, false
	for rest, cr := run, r.lastCR; ; cr = false {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			r.line += len(rest)
			break
		}
		if r.line+i > r.max {
			return answer{554, "5.6.0", "Error: line too long"}
		}
		if i > 0 {
			cr = rest[i-1] == '\r'
		}
		if cr {
			pairs++
		} else {
			bareLF = true
		}
		r.line = 0
		rest = rest[i+1:]
	}
	if r.line > r.max {
		return answer{554, "5.6.0", "Error: line too long"}
	}
	return r.octets(run, pairs, bareLF)
}

// octets judges what strict content must not have. pairs is the number of CRLF
// that end in run.
func (r *rules) octets(run []byte, pairs int, bareLF bool) error {
	returns := bytes.Count(run, []byte{'\r'})
	if r.lastCR {
		returns++
	}
	if r.lastCR = run[len(run)-1] == '\r'; r.lastCR {
		returns-- // its LF may come in the next run
	}
	switch {
	case !r.strict:
		return nil
	case bareLF:
		return answer{550, "5.5.2", "Error: bare <LF> received"}
	case returns != pairs:
		return answer{550, "5.5.2", "Error: bare <CR> received"}
	case bytes.IndexByte(run, 0) >= 0:
		return answer{550, "5.5.2", "Error: NUL received"}
	}
	return nil
}

// end judges the end of content.
func (r *rules) end() error {
	if r.strict && r.lastCR {
		return answer{550, "5.5.2", "Error: bare <CR> received"}
	}
	return nil
}
