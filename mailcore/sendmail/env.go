package sendmail

import (
	"context"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Exit statuses, those of sysexits(3).
const (
	ExitOK          = 0  // the message is on disk
	ExitUsage       = 64 // the command line is wrong
	ExitData        = 65 // the message is wrong
	ExitNoUser      = 67 // a recipient is refused
	ExitUnavailable = 69 // the server refuses
	ExitSoftware    = 70 // something failed inside
	ExitIO          = 74 // reading or writing failed
	ExitTempFail    = 75 // try again
	ExitNoPerm      = 77 // the sender is refused
	ExitConfig      = 78 // the configuration is wrong
)

// A User is what the system knows about a user.
type User struct {
	Name     string // of the login
	FullName string // may be empty
}

// A Hook does the work of a mode that needs the queue. args are the operands of
// the command line; it returns the exit status.
type Hook func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// Env is what a run takes from its surroundings. The zero Env is the real ones.
type Env struct {
	Getenv   func(key string) string     // if nil, os.Getenv
	Getuid   func() int                  // if nil, os.Getuid
	User     func(uid int) (User, error) // if nil, the system's list of users
	Hostname func() (string, error)      // if nil, os.Hostname
	Places   Places                      // where to look for the server
	List     Hook                        // -bp; if nil, exit status 64
	Verify   Hook                        // -bv; if nil, exit status 64
	Flush    Hook                        // -q; if nil, exit status 64
}

// Places are the files and directories looked at.
type Places struct {
	Config   string // if empty, /etc/panelmail/sendmail.conf
	Socket   string // if empty, /run/panelmail/sendmail.sock
	Maildrop string // if empty, /var/spool/panelmail
	Data     string // if empty, ./panelmail-data; used only if it is the user's or root's
}

// withDefaults fills in what is not set.
func (e Env) withDefaults() Env {
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	if e.Getuid == nil {
		e.Getuid = os.Getuid
	}
	if e.User == nil {
		e.User = systemUser
	}
	if e.Hostname == nil {
		e.Hostname = os.Hostname
	}
	for _, d := range []struct {
		value *string
		or    string
	}{
		{&e.Places.Config, "/etc/panelmail/sendmail.conf"},
		{&e.Places.Socket, "/run/panelmail/sendmail.sock"},
		{&e.Places.Maildrop, "/var/spool/panelmail"},
		{&e.Places.Data, "panelmail-data"},
	} {
		if *d.value == "" {
			*d.value = d.or
		}
	}
	return e
}

func systemUser(uid int) (User, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return User{}, err
	}
	full, _, _ := strings.Cut(u.Name, ",")
	return User{Name: u.Username, FullName: full}, nil
}
