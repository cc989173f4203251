package queue

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// What large bodies take of memory is bounded for all of them together: the more
// are read at once, the fewer pieces of each go in one commit.
const (
	uploadBatch  = 8  // pieces of one body in one commit
	uploadPieces = 64 // of all bodies; each has one whatever the others have
)

// An upload is a large body being read.
type upload struct {
	front  []byte
	rest   io.Reader
	pieces [][]byte // used again for each commit
}

// newUpload takes over what was read into b, and leaves b small.
func newUpload(b *bytes.Buffer, rest io.Reader) *upload {
	u := &upload{front: b.Bytes(), rest: rest}
	*b = *bytes.NewBuffer(make([]byte, 0, bufferSize))
	return u
}

// batch reads up to n pieces, of which the last one is short or missing at the end.
// They are good until it is called again.
func (u *upload) batch(n int) (pieces [][]byte, last bool, err error) {
	clear(u.pieces[min(n, len(u.pieces)):]) // there are more uploads now
	u.pieces = u.pieces[:min(n, len(u.pieces))]
	for len(pieces) < n && !last {
		if len(u.pieces) == len(pieces) {
			u.pieces = append(u.pieces, make([]byte, chunkSize))
		}
		piece, err := u.fill(u.pieces[len(pieces)])
		if err != nil {
			return nil, false, err
		}
		if len(piece) > 0 {
			pieces = append(pieces, piece)
		}
		last = len(piece) < chunkSize
	}
	return pieces, last, nil
}

// fill reads a piece; it is short or empty at the end.
func (u *upload) fill(piece []byte) ([]byte, error) {
	n := copy(piece, u.front)
	if u.front = u.front[n:]; len(u.front) == 0 {
		u.front = nil
	}
	if n == chunkSize {
		return piece, nil
	}
	k, err := io.ReadFull(u.rest, piece[n:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return piece[:n+k], err
}

// upload stores a large body in pieces, a few to a commit. Nobody sees them
// until the message is stored.
func (q *Queue) upload(ctx context.Context, r *record, u *upload) (err error) {
	q.uploads.Add(1)
	defer q.uploads.Add(-1)
	if r.upload, err = q.store.beginUpload(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			q.drop(ctx, r.upload)
		}
	}()
	for part, last := 0, false; !last; {
		if err := q.space.check(q.o.Load().MinFree); err != nil {
			return err
		}
		var pieces [][]byte
		n := uploadPieces / int(q.uploads.Load())
		if pieces, last, err = u.batch(min(max(n, 1), uploadBatch)); err != nil {
			return err
		}
		for _, p := range pieces {
			r.size += int64(len(p))
		}
		if err := q.store.appendUpload(ctx, r.upload, part, pieces); err != nil {
			return err
		}
		part += len(pieces)
	}
	return nil
}

// drop gives up an upload, also when the producer's context is what ended it.
func (q *Queue) drop(ctx context.Context, upload int64) {
	ctx = context.WithoutCancel(ctx)
	if err := q.store.dropUpload(ctx, upload); err != nil {
		q.o.Load().Log.WarnContext(ctx, "upload left behind", "error", err)
		return
	}
	q.sweep(ctx)
}

// sweep frees bodies that nobody owns, a step to a commit. What it does not come
// to is swept when the queue is next run.
func (q *Queue) sweep(ctx context.Context) {
	for more := true; more; {
		var err error
		if more, err = q.store.sweep(ctx, false); err != nil {
			return
		}
	}
}
