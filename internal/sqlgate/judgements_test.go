package sqlgate_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/sqlgate"
)

// The SQL of docs/quality.md works as it stands there.
func TestQualityAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/quality.md")
	must(t, err)
	g := open(t, sqlgate.Limits{})
	examples := strings.Split(string(text), "```sql\n")[1:]
	for _, part := range examples {
		sql, _, _ := strings.Cut(part, "```")
		if _, err := ask(t, g, sql, nil); err != nil {
			t.Errorf("%s\n%v", sql, err)
		}
	}
	if len(examples) < 3 {
		t.Errorf("%d examples", len(examples))
	}
}

// Judgements and rates pass the same gate as history: nobody but the administrator yet, whoever's Things they are of, and
// their tables not even he. What rows are of stands in the columns that history has, for the filters of roles.
func TestJudgementsPassTheGate(t *testing.T) {
	g := open(t, sqlgate.Limits{})
	for _, view := range []string{"judgements", "thing_months"} {
		var out bytes.Buffer
		if err := g.Query(t.Context(), sqlgate.Principal{Name: "owner1"}, "SELECT * FROM "+view, "tsv", nil, &out); err == nil || out.Len() > 0 {
			t.Errorf("an owner got %q of %s", out.String(), view)
		}
		if _, err := ask(t, g, "SELECT owner, owner_class, grade, division, thing FROM "+view, nil); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
	for _, table := range []string{"judgement_windows", "in_service", "thing_day_rates"} {
		for _, sql := range []string{"SELECT count() FROM " + table, "SELECT 1 IN " + table, "WITH " + table + " AS (SELECT 1 AS x) SELECT * FROM " + table} {
			if out, err := ask(t, g, sql, nil); err == nil {
				t.Errorf("%s gave %q", sql, out)
			}
		}
	}
}
