package rfc5322

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// Mode says what a [Cleaner] does with line ends other than CRLF.
type Mode int

const (
	// Lenient is for mail of our own people: LF, CR CR LF and a lone CR each
	// become one CRLF, and NUL is dropped. A NUL counts as not being there
	// also where it stands between the octets of a line end.
	Lenient Mode = iota

	// Strict is for strangers: the first bare CR, bare LF or NUL is an error.
	// What looks like a line end to one server and not to the next is how
	// messages are smuggled.
	Strict

	// Unix takes LF for CRLF, and is strict about the rest.
	Unix
)

// What a [Cleaner] that is not lenient refuses; matched with errors.Is.
var (
	ErrBareCR = errors.New("bare <CR> received")
	ErrBareLF = errors.New("bare <LF> received")
	ErrNUL    = errors.New("<NUL> received")
)

var crlf = []byte("\r\n")

// A Cleaner reads content with its line ends put right: every CR it gives stands
// before an LF, every LF behind a CR, there is no NUL, and unless there was
// nothing to read, the last line is ended. How the content is cut into reads, on
// either side, makes no difference. It is not safe for concurrent use.
type Cleaner struct {
	r    io.Reader
	mode Mode

	crs  int  // CRs read last and not decided on yet: 0, 1 or 2
	open bool // what was given so far ends inside a line

	in, out []byte // made when first needed: octets as read, and as put right
	ready   []byte // the part of out not given yet
	err     error  // what ended the reading; given when ready is empty
	idle    int    // reads in a row that brought nothing
}

// NewCleaner returns a Cleaner that reads from r. An error of r, and an error of
// a mode, comes after all octets that stood before it, and stays.
func NewCleaner(r io.Reader, mode Mode) *Cleaner { return &Cleaner{r: r, mode: mode} }

// minDirect is the least buffer that is read into directly.
const minDirect = 512

// Read implements [io.Reader]. Content that needs nothing done is read straight
// into p.
func (c *Cleaner) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.ready) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if len(p) >= minDirect {
			if n := c.readDirect(p); n > 0 {
				return n, nil
			}
			continue
		}
		if c.in == nil {
			c.in = make([]byte, 4096)
		}
		n, err := c.read(c.in)
		c.repair(c.in[:n], err)
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// read reads from r once. Like bufio, it gives up on a reader that keeps bringing
// nothing.
func (c *Cleaner) read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if n > 0 || err != nil {
		c.idle = 0
		return n, err
	}
	if c.idle++; c.idle == 100 {
		return 0, io.ErrNoProgress
	}
	return 0, nil
}

// readDirect reads into p and returns how many octets of it are clean as they
// are. If some are not, it returns 0 and leaves all of them in ready, put right.
func (c *Cleaner) readDirect(p []byte) int {
	held := c.crs
	for i := range held {
		p[i] = '\r'
	}
	n, err := c.read(p[held:])
	if err != nil {
		c.repair(p[held:held+n], err)
		return 0
	}
	got := p[:held+n]
	if n > 0 && got[len(got)-1] == '\r' {
		got = got[:len(got)-1]
	}
	if n == 0 || len(got) == 0 || !clean(got) {
		c.repair(p[held:held+n], nil)
		return 0
	}
	c.crs = held + n - len(got)
	c.open = got[len(got)-1] != '\n'
	return len(got)
}

// clean reports whether b, taken alone, has no CR but before LF, no LF but behind
// CR, and no NUL.
func clean(b []byte) bool {
	lines := 0
	for rest := b; ; lines++ {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		if i == 0 || rest[i-1] != '\r' {
			return false
		}
		rest = rest[i+1:]
	}
	// Each LF has a CR of its own; with no more CRs than that, none is bare.
	return bytes.Count(b, []byte{'\r'}) == lines && bytes.IndexByte(b, 0) < 0
}

// repair appends b, put right, to what is ready, and ends the content if err is
// not nil.
func (c *Cleaner) repair(b []byte, err error) {
	c.out = slices.Grow(c.out[:0], len(b)+len(b)/16+len(crlf))
	for len(b) > 0 && c.err == nil {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		c.repairLine(b[:n])
		b = b[n:]
	}
	if err != nil && c.err == nil {
		c.err = err
		if err == io.EOF {
			c.finish()
		}
	}
	c.ready = c.out
}

// repairLine takes octets of which at most the last is an LF.
func (c *Cleaner) repairLine(line []byte) {
	text, ended := bytes.CutSuffix(line, []byte{'\n'})
	text, cr := bytes.CutSuffix(text, []byte{'\r'})
	if c.crs == 0 && bytes.IndexByte(text, '\r') < 0 && bytes.IndexByte(text, 0) < 0 {
		c.put(text)
		if ended && (cr || c.mode != Strict) {
			c.endLine()
			return
		}
		line = line[len(text):]
	}
	for _, octet := range line {
		if c.err != nil {
			return
		}
		c.step(octet)
	}
}

// step takes one octet.
func (c *Cleaner) step(octet byte) {
	switch {
	case octet == 0:
		if c.mode != Lenient {
			c.err = ErrNUL
		}
	case octet == '\n':
		if c.mode == Strict && c.crs == 0 {
			c.err = ErrBareLF
			return
		}
		c.crs = 0
		c.endLine()
	case octet == '\r':
		if c.mode != Lenient && c.crs == 1 {
			c.err = ErrBareCR
			return
		}
		if c.crs == 2 { // of CR CR CR LF, the last three are one line end
			c.endLine()
			return
		}
		c.crs++
	default:
		if c.mode != Lenient && c.crs > 0 {
			c.err = ErrBareCR
			return
		}
		for ; c.crs > 0; c.crs-- {
			c.endLine()
		}
		c.out = append(c.out, octet)
		c.open = true
	}
}

// put gives octets without CR, LF and NUL while no CR is held back.
func (c *Cleaner) put(text []byte) {
	if len(text) > 0 {
		c.out = append(c.out, text...)
		c.open = true
	}
}

func (c *Cleaner) endLine() {
	c.out = append(c.out, crlf...)
	c.open = false
}

// finish ends the last line.
func (c *Cleaner) finish() {
	if c.mode != Lenient && c.crs > 0 {
		c.err = ErrBareCR
		return
	}
	if c.crs > 0 {
		for ; c.crs > 0; c.crs-- {
			c.endLine()
		}
		return
	}
	if c.open {
		c.endLine()
	}
}
