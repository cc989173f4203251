package queue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A message goes in, and a transport takes it out.
func Example() {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	q, err := queue.Open(ctx, filepath.Join(dir, "queue.db"), queue.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = q.Close() }()

	_, err = q.Enqueue(ctx, queue.Message{Envelope: transport.Envelope{
		ReversePath: "alice@site.example",
		Recipients:  []transport.Recipient{{Address: "bob@far.example"}},
	}}, strings.NewReader("Subject: hello\n\nhello\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = q.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		fmt.Println("to", d.Envelope.Recipients[0].Address, "with", d.Size, "octets")
		cancel() // one is enough for the example
		return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok")})
	}))
	fmt.Println("run:", err)
	// Output:
	// to bob@far.example with 25 octets
	// run: <nil>
}
