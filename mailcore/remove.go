package mailcore

import (
	"context"
	"errors"
	"os"

	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// RemoveSite removes a site with all that belongs to it, mail included, as
// [sites.Sites.RemoveSite] says, and what its uids have left in the maildrop. The
// log of the server is not touched: it has the addresses that it was told to have.
// What strangers have sent in the name of the site to others is theirs, and stays.
//
// It takes effect at once in this process. Another one that runs the queue of the
// same file notices within a second.
func (s *Server) RemoveSite(ctx context.Context, name, by string) (sites.Receipt, error) {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return sites.Receipt{}, err
	}
	site, _ := settings.Site(name)
	r, err := s.sites.RemoveSite(ctx, name, by)
	if r.Time.IsZero() || s.current().config.Maildrop == "" {
		return r, err
	}
	box := maildrop.Box{Dir: s.current().config.Maildrop}
	for _, uid := range site.UIDs {
		if uid != os.Geteuid() {
			err = errors.Join(err, box.Remove(uid))
		}
	}
	return r, err
}

// finishRemovals goes on with removals that were broken off.
func (s *Server) finishRemovals(ctx context.Context) {
	all, err := s.sites.ListSites(ctx)
	for _, site := range all {
		if site.Removing && err == nil {
			_, err = s.RemoveSite(ctx, site.Name, "")
		}
	}
	if err != nil && ctx.Err() == nil {
		s.current().config.Log.Error("the removal of a site was not finished", "error", err)
	}
}
