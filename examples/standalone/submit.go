package main

import (
	"context"
	"fmt"
	"io"

	"github.com/panelmail/panelmail/mailcore/sendmail"
)

// sendmail runs as /usr/sbin/sendmail would, and returns its exit status.
func (a *app) sendmail(ctx context.Context, args []string) int {
	return sendmail.Main(ctx, args, a.stdin, a.stdout, a.stderr, sendmail.Env{
		Places: sendmail.Places{Data: a.data},
		List:   a.hook("mailq"),
		Flush:  a.hook("queue", "retry", "--all"),
		Verify: func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
			status := 0
			for _, to := range args {
				b := &app{stdin: a.stdin, stdout: stdout, stderr: stderr, data: a.data, config: a.config}
				status = max(status, b.exit(b.dispatch(ctx, []string{"explain", "<>", to})))
			}
			return status
		},
	})
}

// hook runs a command of ours for a mode of sendmail's.
func (a *app) hook(command ...string) sendmail.Hook {
	return func(ctx context.Context, _ []string, stdout, stderr io.Writer) int {
		b := &app{stdin: a.stdin, stdout: stdout, stderr: stderr, data: a.data, config: a.config}
		status := b.exit(b.dispatch(ctx, command))
		if status == 1 && command[0] == "queue" {
			fmt.Fprintln(stdout, "the queue is empty")
			return 0
		}
		return status
	}
}
