package sites

// BelongingTables are the tables whose rows go with a site or with its domains.
func BelongingTables() (names []string) {
	for _, b := range belongings {
		names = append(names, b.table)
	}
	return names
}

// SameRoutes reports whether two snapshots have one transport map in memory.
func SameRoutes(a, b *Snapshot) bool { return a.routes.Table == b.routes.Table }
