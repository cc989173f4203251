package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// openLog opens the log of the configuration.
func (a *app) openLog() (*slog.Logger, *logOutput, error) {
	out := &logOutput{w: a.stderr, file: a.settings.Log.File}
	if err := out.reopen(); err != nil {
		return nil, nil, fmt.Errorf("log.file: %w", err)
	}
	if a.settings.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, nil)), out, nil
	}
	out.tag = fmt.Sprintf("%s panelmail[%d]: ", a.settings.Hostname, os.Getpid())
	out.journal = out.file == "" && isJournal(a.stderr)
	return slog.New(&lineHandler{out: out}), out, nil
}

// A logOutput is where the log goes: a file, or standard error. Its methods may be
// called from many goroutines.
type logOutput struct {
	file    string // "": standard error
	tag     string // of lines: host, program and process
	journal bool   // the system's journal reads, and knows the time and the process

	mu sync.Mutex
	w  io.Writer
	f  *os.File // what w is, if it is ours to close
}

// reopen begins the file of this name, after the old one was renamed. On an error
// the old one stays in use.
func (o *logOutput) reopen() error {
	if o.file == "" {
		return nil
	}
	f, err := os.OpenFile(o.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.f
	o.w, o.f = f, f
	if was != nil {
		return was.Close()
	}
	return nil
}

// Write implements io.Writer.
func (o *logOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// line writes one line, with what belongs before it: for the journal its priority
// (sd-daemon(3)), else the time, the host and the process as syslog daemons do.
func (o *logOutput) line(at time.Time, level slog.Level, text string) error {
	line := make([]byte, 0, len("<6>2006-01-02T15:04:05.000000+00:00 ")+len(o.tag)+len(text)+1)
	if o.journal {
		line = fmt.Appendf(line, "<%d>", priority(level))
	} else {
		line = append(at.AppendFormat(line, "2006-01-02T15:04:05.000000Z07:00 "), o.tag...)
	}
	_, err := o.Write(append(append(line, text...), '\n'))
	return err
}

// priority is a level as syslog(3) counts.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	}
	return 6
}

func (o *logOutput) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.f != nil {
		o.f.Close()
	}
}

// isJournal reports whether w is the stream to the journal that the service
// manager says it has connected (systemd.exec(5), JOURNAL_STREAM), and not what
// somebody has put in its place.
func isJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%s", stat.Dev, strconv.FormatUint(uint64(stat.Ino), 10))
}
