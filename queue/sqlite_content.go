package queue

import (
	"context"
	"database/sql"
	"errors"
)

const (
	// From the index of uploads that are no message's: it is as good as empty.
	disownUploads = `UPDATE panelmail_upload SET owner = 0 WHERE owner >= 0 AND owner <> 0 AND owner <> ?`
	selectOrphan  = `SELECT id FROM panelmail_upload WHERE owner >= 0 AND owner = 0 LIMIT 1`

	selectContent = `
SELECT m.size, c.head, c.body, coalesce(c.upload, 0)
FROM panelmail_content AS c JOIN panelmail_message AS m ON m.id = c.message
WHERE c.message = ?`

	insertChunk = `INSERT INTO panelmail_chunk (upload, part, data) VALUES (?, ?, ?)`

	// A step of the sweep frees about a megabyte: secure_delete writes what it
	// frees once more.
	sweepChunks = `
DELETE FROM panelmail_chunk
WHERE (upload, part) IN (SELECT upload, part FROM panelmail_chunk WHERE upload = ? LIMIT 8)`
)

func (e *engine) content(ctx context.Context, message int64) (s stored, err error) {
	err = e.queries[selectContent].QueryRowContext(ctx, message).Scan(&s.size, &s.head, &s.body, &s.upload)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return s, err
}

func (e *engine) chunk(ctx context.Context, upload int64, part int) (data []byte, err error) {
	err = e.read.QueryRowContext(ctx, `SELECT data FROM panelmail_chunk WHERE upload = ? AND part = ?`, upload, part).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return data, err
}

func (e *engine) beginUpload(ctx context.Context) (upload int64, err error) {
	err = e.writer.do(ctx, &op{class: classEnqueue, apply: func(t txn) ([]Event, error) {
		res, err := t.exec(`INSERT INTO panelmail_upload (owner) VALUES (?)`, e.owner)
		upload = res.id
		return nil, err
	}})
	return upload, err
}

func (e *engine) appendUpload(ctx context.Context, upload int64, first int, chunks [][]byte) error {
	size := 0
	for _, c := range chunks {
		size += len(c)
	}
	return e.writer.do(ctx, &op{class: classUpload, size: size, apply: func(t txn) ([]Event, error) {
		var owned bool
		if err := t.row(`SELECT count(*) FROM panelmail_upload WHERE id = ? AND owner = ?`, upload, e.owner).Scan(&owned); err != nil {
			return nil, err
		}
		if !owned {
			return nil, &refusedError{errUploadGone}
		}
		for i, c := range chunks {
			if _, err := t.exec(insertChunk, upload, first+i, c); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
}

// dropUpload leaves an upload without an owner to the sweep.
func (e *engine) dropUpload(ctx context.Context, upload int64) error {
	return e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		_, err := t.exec(`UPDATE panelmail_upload SET owner = 0 WHERE id = ? AND owner = ?`, upload, e.owner)
		return nil, err
	}})
}

// sweep frees a step's worth of one orphan. With dead, uploads of other
// processes count as orphans: whoever asks knows that nobody else runs the queue.
func (e *engine) sweep(ctx context.Context, dead bool) (more bool, err error) {
	err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		if dead {
			if _, err := t.exec(disownUploads, e.owner); err != nil {
				return nil, err
			}
		}
		var upload int64
		err := t.row(selectOrphan).Scan(&upload)
		if errors.Is(err, sql.ErrNoRows) {
			more = false
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		more = true
		res, err := t.exec(sweepChunks, upload)
		if err != nil || res.changed > 0 {
			return nil, err
		}
		_, err = t.exec(`DELETE FROM panelmail_upload WHERE id = ?`, upload)
		return nil, err
	}})
	return more, err
}
