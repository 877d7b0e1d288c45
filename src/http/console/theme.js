// Light or dark: what the system says, until somebody chooses. Runs before anything is drawn, so that nothing flashes.
{
  const KEY = "fanout.theme";
  const root = document.documentElement;

  // A browser may keep nothing for this page: then the choice lasts as long as the page.
  const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* see above */ } };

  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.theme ?? (systemIsDark.matches ? "dark" : "light");
  const other = () => (current() === "dark" ? "light" : "dark");

  const chosen = kept();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => {
      button.textContent = other() === "dark" ? "Dark" : "Light";
      button.title = `Show this page ${other()}`;
    };
    button.addEventListener("click", () => {
      root.dataset.theme = other();
      keep(root.dataset.theme);
      label();
    });
    systemIsDark.addEventListener("change", label);
    label();
  });
}
