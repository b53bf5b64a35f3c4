// What a model wrote, as a piece of the page. It may be anything: HTML in it stays text, and of what Markdown makes of
// it only these elements and attributes are kept.
const KEPT = {
  ALLOWED_TAGS: [
    "p", "br", "hr", "strong", "em", "s", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td",
  ],
  ALLOWED_ATTR: ["href", "title", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};

// No pictures: asking for one would tell its server what was said.
const markdown = window.markdownit({ html: false, linkify: true, breaks: true }).disable("image");

// The fragment of a Markdown text.
export function rendered(text) {
  const fragment = window.DOMPurify.sanitize(markdown.render(text), KEPT);
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  // What may be wider than the screen scrolls by itself, by keyboard too.
  for (const wide of fragment.querySelectorAll("pre, table")) wide.tabIndex = 0;
  // The page has its own first headings.
  for (const heading of fragment.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    heading.setAttribute("aria-level", Math.min(6, Number(heading.tagName[1]) + 2));
  }
  return fragment;
}
