package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
)

// Maildir is the [Transport] with the base "maildir": the final delivery, of one file to
// each recipient, into a directory with tmp, new and cur in it. Content is written
// with LF at the ends of lines, as Maildirs have it, and begins with Return-Path and
// Delivered-To fields.
//
// The next hop is the path of the Maildir: relative to Root, or an absolute path below
// it. Directories that are missing are made, with mode 0700. Nothing on the way may be a
// symbolic link, and nothing outside Root is touched, whoever changes names meanwhile.
//
// As root, what is made gets the owner and the group of the directory that it is made
// in, so that the Maildir of a user belongs to the user. Root is under no disk quota.
// As another user, all that is made is that user's, and quotas are kept to.
//
// A delivery is durable when it is reported: the file is written and synced in tmp, then
// renamed into new, then the directory is synced. If the process dies between that and
// the record of it in the queue, the message is delivered again, under another name.
//
// A full quota, a full disk and all other trouble defer; only a message over SizeLimit
// fails. The fields must not change while the Maildir is in use. Deliver may be called
// from many goroutines, and processes, at once.
type Maildir struct {
	// Root is the directory that all Maildirs are below. If empty, all mail is
	// deferred.
	Root string

	// Hostname names this machine in file names. Required.
	Hostname string

	// SizeLimit is the largest message that is delivered, in octets. If zero, there is
	// no limit.
	SizeLimit int64

	// Log gets the paths and errors that senders are not told; if nil, nobody does.
	Log *slog.Logger
}

// Deliver implements [Transport].
func (m *Maildir) Deliver(ctx context.Context, d *Delivery) Report {
	report := make(Report, len(d.Envelope.Recipients))
	for i := range d.Envelope.Recipients {
		report[i] = m.deliver(ctx, d, d.Envelope.Recipients[i].Address)
	}
	return report
}

func (m *Maildir) deliver(ctx context.Context, d *Delivery, recipient string) Outcome {
	if ctx.Err() != nil {
		return Outcome{}
	}
	if m.SizeLimit > 0 && d.Size > m.SizeLimit {
		return Outcome{Reply: Replyf(552, "5.2.3", "message of %d octets is over the limit of %d of the mailbox", d.Size, m.SizeLimit)}
	}
	err := m.store(ctx, d, recipient)
	switch {
	case err == nil:
		return Outcome{Reply: Replyf(250, "2.0.0", "delivered to maildir"), Mailbox: true}
	case ctx.Err() != nil:
		return Outcome{}
	}
	m.log().LogAttrs(ctx, slog.LevelError, "maildir delivery deferred", slog.String("id", d.ID),
		slog.String("recipient", recipient), slog.String("nexthop", d.Plan.Nexthop), slog.Any("error", err))
	return mailboxTrouble(err)
}

func (m *Maildir) store(ctx context.Context, d *Delivery, recipient string) error {
	if m.Root == "" {
		return &PlanError{Part: "nexthop", Err: errors.New("no directory is configured for Maildirs")}
	}
	path, err := maildirPath(m.Root, d.Plan.Nexthop)
	if err != nil || d.Plan.Direct {
		return &PlanError{Part: "nexthop", Err: errors.Join(err, errors.New("the route names no Maildir"))}
	}
	root, err := os.OpenRoot(m.Root)
	if err != nil {
		return err
	}
	box, err := openMailbox(root, path)
	if err != nil {
		return err
	}
	defer box.Close()
	content, err := d.Open(ctx)
	if err != nil {
		return contentError{err}
	}
	defer content.Close()
	message := mailboxMessage{
		header: fmt.Sprintf("Return-Path: <%s>\nDelivered-To: %s\n", d.ReversePath(), recipient),
		size:   d.Size, content: content,
	}
	return box.put(ctx, uniqueName(m.Hostname), &message)
}

// A contentError is trouble with the stored message.
type contentError struct{ error }

func (e contentError) Unwrap() error { return e.error }

// mailboxTrouble is the outcome of a delivery that came to nothing. It is told to the
// sender, and so names no path. Only a quota is the mailbox's own affair.
func mailboxTrouble(err error) Outcome {
	var (
		errno   syscall.Errno
		path    *fs.PathError
		content contentError
		plan    *PlanError
	)
	switch {
	case errors.As(err, &content):
		return localTrouble("the stored message cannot be read")
	case errors.As(err, &plan):
		o := deferral("4.3.5", "mailbox configuration problem: %v", plan.Err)
		o.Local = true
		return o
	case errors.Is(err, syscall.EDQUOT):
		return Outcome{Reply: Replyf(452, "4.2.2", "the mailbox is full: %v", syscall.EDQUOT)}
	case errors.Is(err, syscall.ENOSPC):
		return Outcome{Reply: Replyf(452, "4.3.1", "%v", syscall.ENOSPC), Local: true}
	case errors.Is(err, errNoFolder):
		return localTrouble("the mailbox cannot be delivered to: " + errNoFolder.Error())
	case errors.As(err, &errno):
		return localTrouble("the mailbox cannot be delivered to: " + errno.Error())
	case errors.As(err, &path):
		return localTrouble("the mailbox cannot be delivered to: " + path.Err.Error())
	}
	return localTrouble("the mailbox cannot be delivered to")
}

func (m *Maildir) log() *slog.Logger {
	if m.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return m.Log
}
