package transporttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// patience is how long a Transport may take to return after its context is
// done.
const patience = 10 * time.Second

// Test checks that a Transport keeps the contract of [transport.Transport]:
//
//   - a report has no more outcomes than there are recipients;
//   - an outcome is zero, or has a reply of class 2, 4 or 5, with an enhanced
//     status of that class if any, and a text without controls;
//   - the delivery is not changed;
//   - every reader it opens is closed when it returns;
//   - content that cannot be opened fails nobody and is delivered to nobody;
//   - it returns soon after its context is done, and fails nobody because of it;
//   - it may be called from many goroutines at once (run with -race).
//
// adapt changes each delivery into one that the Transport can do something with,
// such as one with its next hop; it may be nil. All violations are reported at
// once.
func Test(t transport.Transport, adapt func(*transport.Delivery)) error {
	if adapt == nil {
		adapt = func(*transport.Delivery) {}
	}
	c := checker{t: t, adapt: adapt}
	var errs []error
	for _, check := range []struct {
		name string
		run  func() error
	}{
		{"one recipient", func() error { return c.once(1) }},
		{"three recipients", func() error { return c.once(3) }},
		{"content that cannot be opened", c.unreadable},
		{"a context that is done", c.interrupted},
		{"many at once", c.many},
	} {
		if err := check.run(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", check.name, err))
		}
	}
	return errors.Join(errs...)
}

type checker struct {
	t     transport.Transport
	adapt func(*transport.Delivery)
}

const message = "From: a@site.test\r\nSubject: test\r\n\r\nline\r\n.dot\r\n"

func (c checker) delivery(content *Content, n int) *transport.Delivery {
	recipients := make([]string, n)
	for i := range recipients {
		recipients[i] = fmt.Sprintf("u%d@dest.test", i)
	}
	d := Delivery(content, recipients...)
	c.adapt(d)
	return d
}

// once makes one attempt with everything in order.
func (c checker) once(n int) error {
	content := &Content{Text: message}
	d, same := c.delivery(content, n), c.delivery(content, n)
	report := c.t.Deliver(context.Background(), d)
	errs := []error{judge(report, n)}
	d.Open, same.Open = nil, nil
	if !reflect.DeepEqual(d, same) {
		errs = append(errs, errors.New("the delivery was changed"))
	}
	if left := content.Unclosed(); left != 0 {
		errs = append(errs, fmt.Errorf("%d readers of the content are still open", left))
	}
	return errors.Join(errs...)
}

// unreadable makes an attempt with content that cannot be opened.
func (c checker) unreadable() error {
	content := &Content{Err: errors.New("content cannot be read")}
	d := c.delivery(content, 2)
	report := c.t.Deliver(context.Background(), d)
	errs := []error{judge(report, 2)}
	for i := range 2 {
		o := report.At(i)
		if content.Opened() > 0 && (o.Delivered() || o.Failed()) {
			errs = append(errs, fmt.Errorf("recipient %d: %v, want a deferral", i, o.Reply))
		}
	}
	return errors.Join(errs...)
}

// interrupted makes an attempt that is over before it begins.
func (c checker) interrupted() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := c.delivery(&Content{Text: message}, 1)
	done := make(chan transport.Report, 1)
	go func() { done <- c.t.Deliver(ctx, d) }()
	select {
	case report := <-done:
		errs := []error{judge(report, 1)}
		if o := report.At(0); o.Failed() && o.Host != "" {
			errs = append(errs, fmt.Errorf("failed with %v", o.Reply))
		}
		return errors.Join(errs...)
	case <-time.After(patience):
		return fmt.Errorf("has not returned after %v", patience)
	}
}

// many makes attempts side by side.
func (c checker) many() error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for range 8 {
		wg.Go(func() {
			if err := c.once(2); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// judge checks the form of a report for n recipients.
func judge(report transport.Report, n int) error {
	var errs []error
	if len(report) > n {
		errs = append(errs, fmt.Errorf("%d outcomes for %d recipients", len(report), n))
	}
	for i, o := range report {
		if err := judgeOutcome(o); err != nil {
			errs = append(errs, fmt.Errorf("recipient %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func judgeOutcome(o transport.Outcome) error {
	class := o.Reply.Code / 100
	switch {
	case o.NotTried():
		return nil
	case !o.Hold && class != 2 && class != 4 && class != 5:
		return fmt.Errorf("the reply has the code %d", o.Reply.Code)
	case o.Reply.Enhanced[0] != 0 && o.Reply.Enhanced[0] != class:
		return fmt.Errorf("the reply %v has a status of another class", o.Reply)
	case strings.ContainsFunc(o.Reply.Text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }):
		return fmt.Errorf("the text %q has controls in it", o.Reply.Text)
	case o.RetryAfter < 0:
		return fmt.Errorf("RetryAfter is %v", o.RetryAfter)
	}
	return nil
}
