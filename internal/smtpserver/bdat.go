package smtpserver

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// errBroken ends content that the client broke off in order, by RSET for one, or
// in disorder after which everything was said.
var errBroken = errors.New("transaction broken off")

// bdat serves the first BDAT of a transaction (RFC 3030). The chunks that follow
// are read by the chunkFramer.
func (c *Conn) bdat(cmd command) {
	bad := c.noData("BDAT")
	if bad == nil {
		bad = c.notReady()
	}
	if bad != nil {
		c.refuseChunk(cmd.arg, *bad)
		return
	}
	size, last, ok := c.chunk(cmd.arg)
	if !ok {
		return
	}
	c.tx.chunks = true
	c.awaitContent()
	c.receive(&chunkFramer{conn: c, size: size, left: size, last: last})
}

// refuseChunk reads a chunk, drops it and answers. Nothing else may happen to its
// octets, for they follow whatever the answer is.
func (c *Conn) refuseChunk(arg string, a answer) {
	size, _, ok := c.chunk(arg)
	if !ok {
		return
	}
	c.awaitContent()
	if err := (&chunkFramer{conn: c, left: size}).drain(); err != nil {
		c.lost(err)
		return
	}
	c.answer(a)
}

// chunk reads the arguments of BDAT. After those of a chunk that cannot be read to its
// end the connection is at its own.
func (c *Conn) chunk(arg string) (size int64, last, ok bool) {
	size, last, ok = parseChunk(arg)
	switch {
	case !ok:
		c.badChunk()
	case size > max(2*c.server.maxSize(), minDrain):
		c.hangUp()
		c.reply(552, "5.3.4", "Error: message file too big")
		return 0, false, false
	}
	return size, last, ok
}

// minDrain is how many octets of a chunk that is refused are read and dropped at
// least, so that the client hears why.
const minDrain = 1 << 20

// badChunk ends the connection: nobody knows how many octets of content follow.
func (c *Conn) badChunk() {
	c.hangUp()
	c.reply(501, "5.5.4", "Syntax: BDAT count [LAST]")
}

// parseChunk reads the arguments of BDAT.
func parseChunk(arg string) (size int64, last, ok bool) {
	words := strings.Fields(arg)
	switch {
	case len(words) == 2 && strings.EqualFold(words[1], "LAST"):
		last = true
	case len(words) != 1:
		return 0, false, false
	}
	size, err := strconv.ParseInt(words[0], 10, 64)
	return size, last, err == nil && isDigits(words[0])
}

// A chunkFramer finds content that comes in chunks. It serves the commands
// between them.
type chunkFramer struct {
	conn  *Conn
	size  int64 // of this chunk
	left  int64 // octets of this chunk that are still to come
	last  bool  // this is the last chunk
	given int   // octets of the read buffer that were given out last
}

func (f *chunkFramer) next() ([]byte, error) {
	r := f.conn.wire.r
	r.Discard(f.given) // they are in the buffer
	f.given = 0
	for f.left == 0 {
		if f.last {
			return nil, io.EOF
		}
		f.conn.reply(250, "2.0.0", fmt.Sprintf("Ok: %d octets received", f.size))
		if err := f.more(); err != nil {
			return nil, err
		}
	}
	run, err := window(r)
	if err != nil {
		return nil, err
	}
	run = run[:min(int64(len(run)), f.left)]
	f.left -= int64(len(run))
	f.given = len(run)
	return run, nil
}

// more waits for the BDAT command that continues the content.
func (f *chunkFramer) more() error {
	c := f.conn
	for !c.closing {
		cmd, ok := c.nextCommand()
		if !ok {
			continue
		}
		switch cmd.verb {
		case "BDAT":
			c.verb, c.argument = cmd.verb, cmd.arg
			if f.size, f.last, ok = c.chunk(cmd.arg); !ok {
				return errBroken
			}
			f.left = f.size
			return nil
		case "RSET", "HELO", "EHLO", "QUIT":
			c.pending = &cmd
			return errBroken
		default:
			c.dispatch(cmd)
		}
	}
	return errBroken
}

// drain drops the rest of the chunk; the answer to it ends the transaction.
func (f *chunkFramer) drain() error {
	f.last = true
	for {
		switch _, err := f.next(); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}
