package sites

// BelongingTables are the tables whose rows go with a site or with its domains.
func BelongingTables() (names []string) {
	for _, b := range belongings {
		names = append(names, b.table)
	}
	return names
}
