package sendmail

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A place is where a server is, or would be.
type place struct {
	socket   string
	maildrop string
	origin   string // the domain for addresses without one; may be empty
}

// find chooses the place: the first that was configured or can be seen.
func (e Env) find() (place, error) {
	conf, there, err := readConfig(e.Places.Config)
	if err != nil {
		return place{}, err
	}
	if socket := e.Getenv("PANELMAIL_SOCKET"); socket != "" {
		p := place{socket, e.Getenv("PANELMAIL_MAILDROP"), conf.origin}
		if p.maildrop == "" {
			p.maildrop = Maildrop(socket)
		}
		return p, nil
	}
	system := place{e.Places.Socket, e.Places.Maildrop, conf.origin}
	if there {
		if conf.socket == "" {
			conf.socket = system.socket
		}
		if conf.maildrop == "" {
			conf.maildrop = Maildrop(conf.socket)
		}
		return conf, nil
	}
	local := place{socket: filepath.Join(e.Places.Data, "sendmail.sock")}
	local.maildrop = Maildrop(local.socket)
	uid := e.Getuid()
	seen := func(p place) bool {
		return exists(p.socket) || exists(filepath.Join(p.maildrop, strconv.Itoa(uid)))
	}
	if !seen(system) && seen(local) && e.trusts(local.socket) {
		return local, nil
	}
	return system, nil
}

// trusts reports whether nobody but the user and root can have put something
// where a socket is, or would be: the directory is theirs, and only they can
// write to it, and the socket is theirs. The working directory may be anybody's,
// as /tmp is.
func (e Env) trusts(socket string) bool {
	theirs := func(fi fs.FileInfo) bool { return ownerOf(fi) == e.Getuid() || ownerOf(fi) == 0 }
	dir, err := os.Lstat(filepath.Dir(socket))
	if err != nil || !dir.IsDir() || !theirs(dir) || dir.Mode().Perm()&0o022 != 0 {
		return false
	}
	fi, err := os.Lstat(socket)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && fi.Mode().Type() == fs.ModeSocket && theirs(fi)
}

// Maildrop is where the maildrop of a server is unless it was said: beside its
// socket, but for a socket below /run, which does not outlive the machine's power,
// in /var/spool/panelmail.
func Maildrop(socket string) string {
	if strings.HasPrefix(filepath.Clean(socket), "/run/") {
		return "/var/spool/panelmail"
	}
	return filepath.Join(filepath.Dir(socket), "maildrop")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readConfig reads the file of doc.go. One that is not there is no error.
func readConfig(path string) (p place, there bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		if !ok || value == "" {
			return p, true, fmt.Errorf("%s:%d: not key = value", path, n)
		}
		switch key = strings.TrimSpace(key); key {
		case "socket":
			p.socket = value
		case "maildrop":
			p.maildrop = value
		case "origin":
			p.origin = value
		default:
			return p, true, fmt.Errorf("%s:%d: unknown key %q", path, n, key)
		}
	}
	return p, true, lines.Err()
}
