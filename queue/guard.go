package queue

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/panelmail/panelmail/transport"
)

// guarded makes a panic in a function of the user's that our goroutines call a
// matter for the log: mail goes on.
func (o *Options) guarded() {
	label, observe, log := o.Label, o.Observe, o.Log
	if label != nil {
		o.Label = func(ctx context.Context, q transport.Query) (l string) {
			defer onPanic(log, "Label", func() { l = domainLabel(ctx, q) })
			return label(ctx, q)
		}
	}
	if sign := o.Sign; sign != nil {
		o.Sign = func(ctx context.Context, report []byte) (fields []byte, signed []string, err error) {
			defer onPanic(log, "Sign", func() { fields, signed, err = nil, nil, nil })
			return sign(ctx, report)
		}
	}
	if observe != nil {
		o.Observe = func(events []Event) {
			defer onPanic(log, "Observe", func() {})
			observe(events)
		}
	}
}

// onPanic is deferred: it logs a panic of a function of the user's, and does
// something else instead.
func onPanic(log *slog.Logger, function string, instead func()) {
	if p := recover(); p != nil {
		log.Error("a function given to the queue panicked", "function", function, "panic", p, "stack", string(debug.Stack()))
		instead()
	}
}
