package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A Process is an SMTP server that is a program of its own. Set fields before
// Start; Start again after Stop or Kill runs the same command anew.
type Process struct {
	Path string   // of the program
	Args []string // of the command
	Addr string   // where it greets, once it is ready
	File string   // what it prints is appended here

	cmd   *exec.Cmd
	ended chan struct{}
}

// Start runs the program and returns when it greets. The program is killed when
// ctx is done.
func (p *Process) Start(ctx context.Context) error {
	return p.startUntil(ctx, greeted)
}

// StartSilent runs a program that greets nobody, and returns when it takes a
// connection. The program is killed when ctx is done.
func (p *Process) StartSilent(ctx context.Context) error {
	return p.startUntil(ctx, connected)
}

// startUntil runs the program and returns when a try at Addr succeeds.
func (p *Process) startUntil(ctx context.Context, try func(ctx context.Context, addr string) error) error {
	log, err := os.OpenFile(p.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the program has its own
	p.cmd = exec.CommandContext(ctx, p.Path, p.Args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		p.cmd.Wait()
	}()
	if err := p.await(ctx, try); err != nil {
		return errors.Join(fmt.Errorf("%w\nlog: %s", err, p.Log()), p.Kill())
	}
	return nil
}

// Stop asks the program to end and waits until it is gone; after half a minute
// it is killed, which is an error.
func (p *Process) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the server did not end when told"), p.Kill())
	}
}

// Kill ends the program with SIGKILL and returns when the process is seen gone.
func (p *Process) Kill() error {
	pid := p.cmd.Process.Pid
	p.cmd.Process.Kill()
	<-p.ended
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("process %d is still there: %v", pid, err)
	}
	return nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// StopAfter stops a program at the end of a test, and shows the log of one that failed.
func StopAfter(t testing.TB, p interface {
	Stop() error
	Log() string
}) {
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of %T:\n%s", p, p.Log())
		}
	})
}

// Log is everything the program has printed.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.File)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// await returns when the program serves, or at once when it has ended.
func (p *Process) await(ctx context.Context, try func(ctx context.Context, addr string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serves := make(chan error, 1)
	go func() { serves <- waitUntil(ctx, p.Addr, try) }()
	select {
	case err := <-serves:
		return err
	case <-p.ended:
		return fmt.Errorf("the server ended: %v", p.cmd.ProcessState)
	}
}
