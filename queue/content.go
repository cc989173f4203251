package queue

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// Content returns a message as it is stored. It is read piece by piece; if the
// message is removed meanwhile, a read fails. The caller closes it.
func (q *Queue) Content(ctx context.Context, id string) (io.ReadCloser, error) {
	message, err := q.store.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return openContent(ctx, q.store, message)
}

func openContent(ctx context.Context, s store, message int64) (io.ReadCloser, error) {
	found, err := s.content(ctx, message)
	if err != nil {
		return nil, err
	}
	c := &content{ctx: ctx, store: s, message: message, upload: found.upload, left: found.size}
	c.set(found.head)
	if found.upload == 0 {
		c.next = found.body
	}
	return c, nil
}

// content reads head and body, or head and the chunks of an upload. It holds
// nothing open between reads. Its end is where the size of the message says; a
// piece that is missing before is an error, so that nobody takes a part for the
// whole.
type content struct {
	ctx     context.Context
	store   store
	message int64
	now     bytes.Reader
	next    []byte
	left    int64 // octets after now
	upload  int64 // 0: no chunks
	part    int
}

func (c *content) Read(p []byte) (int, error) {
	for c.now.Len() == 0 {
		if err := c.advance(); err != nil {
			return 0, err
		}
	}
	return c.now.Read(p)
}

// WriteTo spares [io.Copy] a buffer.
func (c *content) WriteTo(w io.Writer) (n int64, err error) {
	for {
		k, err := c.now.WriteTo(w)
		n += k
		if err != nil {
			return n, err
		}
		if err := c.advance(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

func (c *content) set(piece []byte) {
	c.now.Reset(piece)
	c.left -= int64(len(piece))
}

func (c *content) advance() error {
	switch {
	case c.next != nil:
		c.set(c.next)
		c.next = nil
		return nil
	case c.left == 0:
		return io.EOF
	case c.upload == 0:
		return c.missing()
	}
	data, err := c.store.chunk(c.ctx, c.upload, c.part)
	if errors.Is(err, ErrNotFound) {
		return c.missing()
	}
	if err != nil {
		return err
	}
	c.part++
	c.set(data)
	return nil
}

// missing is the error for a piece that is not there: the message was removed,
// or the database has lost it.
func (c *content) missing() error {
	if _, err := c.store.clock(c.ctx, c.message); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

func (c *content) Close() error { return nil }
