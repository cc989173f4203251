package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/panelmail/panelmail/mailcore"
)

// hangups are the requests to reload. To a process that has not asked for them
// they are the end.
func hangups() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// A reloader puts a changed configuration and changed certificates into force
// while the server runs, and begins the log file anew.
type reloader struct {
	app    *app
	server *mailcore.Server
	log    *slog.Logger
	out    *logOutput
	auth   mailcore.Authenticator // in force
}

// run reloads at each signal until ctx is done.
func (r *reloader) run(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		notify(reloadingState())
		r.hangup()
		notify("READY=1")
	}
}

// hangup does what a signal asks for.
func (r *reloader) hangup() {
	if err := r.out.reopen(); err != nil {
		r.log.Error("the log file was not begun anew", "error", err)
	}
	if err := r.reload(); err != nil {
		for problem := range strings.SplitSeq(err.Error(), "\n") {
			r.log.Error("not reloaded, the old configuration stays", "error", problem)
		}
		return
	}
	r.log.Info("the configuration and the certificates were reloaded")
}

// reload reads the configuration and what it names, and puts it into force if
// nothing is wrong with it; else it names every problem.
func (r *reloader) reload() error {
	fresh := &app{stderr: r.app.stderr, data: r.app.data, config: r.app.config}
	if err := fresh.load(); err != nil {
		return err
	}
	if err := fresh.makeCertificate(); err != nil {
		return err
	}
	config, err := fresh.serverConfig(r.log)
	if err := errors.Join(err, fresh.fixed(r.app.inForce())); err != nil {
		return err
	}
	if err := r.server.Reload(config); err != nil {
		return fmt.Errorf("configuration: %s: %w", fresh.configFile(), err)
	}
	if dovecot, ok := r.auth.(*mailcore.DovecotAuth); ok {
		dovecot.Close()
	}
	r.auth = config.Authenticator
	r.app.reloaded.Store(&fresh.settings)
	return nil
}

// fixed names the keys that differ from other settings and cannot while the server
// runs.
func (a *app) fixed(was settings) error {
	var problems []error
	now, before := flatten(a.settings), flatten(was)
	for _, key := range slices.Sorted(maps.Keys(now)) {
		table, _, _ := strings.Cut(key, ".")
		fixed := table == "listen" && key != "listen.greeting" || table == "log" || key == "queue.workers"
		if fixed && !reflect.DeepEqual(now[key], before[key]) {
			problems = append(problems, a.fault(key, mailcore.ErrRestart))
		}
	}
	return errors.Join(problems...)
}
