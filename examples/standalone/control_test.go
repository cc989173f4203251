package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

func TestAPanicInACommandIsItsOwnErrorAndTheServerGoesOn(t *testing.T) {
	l := newLab(t)
	a := &app{data: l.data}
	socket, err := a.listenControl()
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var log strings.Builder
	go func() { done <- a.serveControl(ctx, socket, nil, slog.New(slog.NewTextHandler(&log, nil))) }() // a command without a server panics
	for range 2 {
		got := l.run("", "site", "list")
		if want := "panelmail: site list: the server made a mistake, which is in its log\n"; got.Status != 1 || got.Stderr != want {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	stop()
	must(t, <-done)
	if !strings.Contains(log.String(), "nil pointer") || !strings.Contains(log.String(), "sitecommands.go") {
		t.Errorf("the log does not tell where: %s", &log)
	}
}

func TestAClientThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&app{}).answer(t.Context(), there, nil, slog.New(slog.DiscardHandler))
		}()
		must(t, json.NewEncoder(here).Encode(request{Args: []string{"nonsense"}}))
		<-done
	})
}

func TestACommandIsToldWhenItsClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		ctx, stop := watch(t.Context(), there)
		_, err := here.Write([]byte("\n"))
		must(t, err)
		synctest.Wait()
		must(t, ctx.Err())
		here.Close()
		<-ctx.Done()
		stop()
		there.Close()

		here, there = net.Pipe()
		defer here.Close()
		ctx, stop = watch(t.Context(), there)
		stop() // while he waits for the answer
		if ctx.Err() == nil {
			t.Error("the context is not done after stop")
		}
	})
}
