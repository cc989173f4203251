// Command earlyack is a mail server with a seeded defect: it says 250 to a
// message before it has stored it. With -honest it stores first, like any
// server should, and is otherwise the same. It exists to show that the crash
// harness finds the difference.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func main() {
	data := flag.String("data", "", "file of the queue")
	listen := flag.String("listen", "", "address to take mail at")
	nextHop := flag.String("nexthop", "", "address to deliver to")
	honest := flag.Bool("honest", false, "store before saying 250")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *data, *listen, *nextHop, *honest); err != nil {
		log.Fatal(err)
	}
}

// serve takes and delivers mail until ctx is done.
func serve(ctx context.Context, data, listen, nextHop string, honest bool) error {
	q, err := queue.Open(ctx, data, queue.Options{BackoffMin: time.Second, BackoffMax: 2 * time.Second})
	if err != nil {
		return err
	}
	defer q.Close()
	front := interop.Sink{Addr: listen, Forget: true, Received: func(m interop.Message) {
		if honest {
			store(q, m)
		} else {
			go store(q, m) // the defect: 250 goes out whatever becomes of this
		}
	}}
	if err := front.Start(); err != nil {
		return err
	}
	defer front.Close()
	return q.Run(ctx, transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
		return d.All(deliver(ctx, d, nextHop))
	}))
}

// store puts a message into the queue. There is no way left to refuse it.
func store(q *queue.Queue, m interop.Message) {
	e := transport.Envelope{ReversePath: m.From()}
	for _, address := range m.To() {
		e.Recipients = append(e.Recipients, transport.Recipient{Address: address})
	}
	if _, err := q.Enqueue(context.Background(), queue.Message{Envelope: e}, bytes.NewReader(m.Content())); err != nil {
		log.Fatal(err)
	}
}

// deliver tries once, over a connection of its own.
func deliver(ctx context.Context, d *transport.Delivery, nextHop string) transport.Outcome {
	err := send(ctx, d, nextHop)
	var refused *interop.Refusal
	switch {
	case err == nil:
		return transport.Outcome{Reply: transport.Reply{Code: 250, Enhanced: [3]int{2, 0, 0}, Text: "Ok"}, Host: nextHop}
	case errors.As(err, &refused):
		return transport.Outcome{Reply: transport.Reply{Code: 450, Enhanced: [3]int{4, 0, 0}, Text: refused.Reply}, Host: nextHop}
	}
	return transport.Outcome{Reply: transport.Reply{Code: 451, Enhanced: [3]int{4, 4, 1}, Text: err.Error()}}
}

func send(ctx context.Context, d *transport.Delivery, nextHop string) error {
	r, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	var content bytes.Buffer
	if _, err := content.ReadFrom(r); err != nil {
		return err
	}
	c, err := interop.NewSubmitter(ctx, nextHop)
	if err != nil {
		return err
	}
	defer c.Close()
	var to []string
	for _, r := range d.Envelope.Recipients {
		to = append(to, r.Address)
	}
	if _, err := c.Send(d.ReversePath(), to, interop.Stuffed(content.Bytes())); err != nil {
		return err
	}
	return c.Quit()
}
