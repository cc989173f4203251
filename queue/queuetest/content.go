package queuetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var contentCases = []testCase{
	{name: "ContentOfAnySizeComesBackWhole", run: sizes},
	{name: "LineEndsArePutRight", run: lineEnds},
	{name: "NothingIsStoredIfReadingFails", run: readerFails},
	{name: "NothingIsStoredIfTheHeadFails", run: headFails},
	{name: "ContentOutlivesNothing", run: contentGone},
	{name: "ContentRemovedWhileItIsReadIsAnError", run: contentCut},
	{name: "ADeliveryNeverReadsAnotherMessagesContent", run: contentOfAnother},
	{name: "AnIDIsTakenOnce", run: duplicates},
	{name: "AMessageWithoutRecipientsIsRefused", run: invalid},
}

// lines makes content of about n octets.
func lines(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of the content\r\n", i)
	}
	return b.String()
}

func sizes(l *lab) {
	for _, n := range []int{0, 1, 4 << 10, 128<<10 - 10, 128<<10 + 10, 1 << 20, 3<<20 + 777} {
		content := lines(n)
		for _, head := range []string{"", "X-Head: above\r\n"} {
			m := message("alice@site.test", "bob@far.test")
			if head != "" {
				m.Head = func() ([]byte, error) { return []byte(head), nil }
			}
			id := l.enqueue(m, content)
			if got := l.content(id); got != head+content {
				l.Errorf("%d octets came back as %d of %d", n, len(got), len(head+content))
			}
			if e := l.entries(queue.Match{IDs: []string{id}})[0]; e.Size != int64(len(head+content)) {
				l.Errorf("%d octets have size %d", len(head+content), e.Size)
			}
			r, err := l.q.Content(l.Context(), id)
			if err != nil {
				l.Fatal(err)
			}
			if err := iotest.TestReader(onlyReader{r}, []byte(head+content)); err != nil && n < 1<<20 {
				l.Errorf("%d octets: %v", n, err)
			}
		}
	}
	l.answer(func(d *transport.Delivery) transport.Report {
		for range 2 { // it may be opened more than once
			r, err := d.Open(l.Context())
			if err != nil {
				l.Error(err)
				break
			}
			var b bytes.Buffer
			if n, err := io.Copy(&b, r); err != nil || n != d.Size {
				l.Errorf("delivery reads %d of %d octets, error %v", n, d.Size, err)
			}
			_ = r.Close()
		}
		return d.All(ok)
	})
	l.run()
	synctest.Wait()
	l.empty()
}

type onlyReader struct{ io.Reader }

func lineEnds(l *lab) {
	id := l.enqueue(message("", "bob@far.test"), "a: b\n\nbare\nnul\x00\r\r\nlast")
	if got := l.content(id); got != "a: b\r\n\r\nbare\r\nnul\r\nlast\r\n" {
		l.Errorf("stored as %q", got)
	}
}

func readerFails(l *lab) {
	broken := errors.New("the client went away")
	for _, n := range []int{10, 1 << 20, 3 << 20} {
		_, err := l.q.Enqueue(l.Context(), message("", "bob@far.test"),
			io.MultiReader(strings.NewReader(lines(n)), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			l.Errorf("after %d octets: %v", n, err)
		}
	}
	l.empty()
}

func headFails(l *lab) {
	broken := errors.New("no key")
	for _, n := range []int{10, 1 << 20} {
		m := message("", "bob@far.test")
		m.Head = func() ([]byte, error) { return nil, broken }
		if _, err := l.q.Enqueue(l.Context(), m, strings.NewReader(lines(n))); !errors.Is(err, broken) {
			l.Errorf("with %d octets: %v", n, err)
		}
	}
	l.empty()
}

func contentGone(l *lab) {
	for _, n := range []int{10, 1 << 20} {
		id := l.enqueue(message("", "bob@far.test"), lines(n))
		l.count(1)(l.q.Remove(l.Context(), queue.Match{IDs: []string{id}}))
		if _, err := l.q.Content(l.Context(), id); !errors.Is(err, queue.ErrNotFound) {
			l.Errorf("content of a removed message: %v", err)
		}
	}
}

// contentCut removes a large message between two reads.
func contentCut(l *lab) {
	id := l.enqueue(message("", "bob@far.test"), lines(3<<20))
	r, err := l.q.Content(l.Context(), id)
	if err != nil {
		l.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 200_000)); err != nil {
		l.Fatal(err)
	}
	l.count(1)(l.q.Remove(l.Context(), queue.Match{IDs: []string{id}}))
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, queue.ErrNotFound) {
		l.Errorf("after the removal %d octets more, then error %v", n, err)
	}
}

// contentOfAnother removes a message whose delivery has not opened it yet, and
// stores others in its place.
func contentOfAnother(l *lab) {
	const secret = "for carol alone\r\n"
	opened := make(chan error, 1)
	l.answer(func(d *transport.Delivery) transport.Report {
		if d.Envelope.Recipients[0].Address == "bob@far.test" {
			time.Sleep(time.Minute)
			_, err := d.Open(l.Context())
			opened <- err
		}
		return d.All(ok)
	})
	l.enqueue(message("", "bob@far.test"), "for bob\r\n")
	l.run()
	l.sleep(time.Second)
	l.count(1)(l.q.Remove(l.Context(), queue.Match{All: true}))
	m := message("", "carol@near.test")
	m.Hold = "so that it is there"
	l.enqueue(m, secret)
	if err := <-opened; !errors.Is(err, queue.ErrNotFound) {
		l.Errorf("a removed message was opened with error %v", err)
	}
}

func duplicates(l *lab) {
	m := message("", "bob@far.test")
	m.ID = queue.NewID(l.start)
	l.enqueue(m, "first\r\n")
	if _, err := l.q.Enqueue(l.Context(), m, strings.NewReader("second\r\n")); !errors.Is(err, queue.ErrDuplicate) {
		l.Errorf("a second message of the same ID: %v", err)
	}
	if got := l.content(m.ID); got != "first\r\n" {
		l.Errorf("content is now %q", got)
	}
}

func invalid(l *lab) {
	for name, m := range map[string]queue.Message{
		"no recipient":     message("alice@site.test"),
		"empty recipient":  message("alice@site.test", ""),
		"line in address":  message("alice@site.test", "bob@far.test\r\nDATA"),
		"line in sender":   message("alice@site.test\n", "bob@far.test"),
		"somebody's ID":    {ID: "../../etc", Envelope: message("", "b@far.test").Envelope},
		"too many at once": message("", make([]string, 50_001)...),
	} {
		if _, err := l.q.Enqueue(l.Context(), m, strings.NewReader("\r\n")); err == nil {
			l.Errorf("%s: accepted", name)
		}
	}
	l.empty()
}
