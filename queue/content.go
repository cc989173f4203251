package queue

import (
	"bytes"
	"context"
	"database/sql"
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
	head, body, upload, err := s.content(ctx, message)
	if err != nil {
		return nil, err
	}
	c := &content{ctx: ctx, store: s, upload: upload}
	c.now.Reset(head)
	if upload == 0 {
		c.next = body
	}
	return c, nil
}

// content reads head and body, or head and the chunks of an upload. It holds
// nothing open between reads.
type content struct {
	ctx    context.Context
	store  store
	now    bytes.Reader
	next   []byte
	upload int64 // 0: no more chunks
	part   int
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

func (c *content) advance() error {
	if c.next != nil {
		c.now.Reset(c.next)
		c.next = nil
		return nil
	}
	if c.upload == 0 {
		return io.EOF
	}
	data, err := c.store.chunk(c.ctx, c.upload, c.part)
	switch {
	case errors.Is(err, sql.ErrNoRows) && c.part == 0:
		return ErrNotFound
	case errors.Is(err, sql.ErrNoRows):
		c.upload = 0
		return io.EOF
	case err != nil:
		return err
	}
	c.part++
	c.now.Reset(data)
	return nil
}

func (c *content) Close() error { return nil }
