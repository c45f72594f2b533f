// Small tools for building pages. Text always goes in as text, never as HTML.

// el makes an element: properties (on… are listeners, data… and aria-… attributes), then children.
export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
    else if (name in e && !name.includes('-')) e[name] = value;
    else e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

// setText touches the page only when something changes, so that screen readers stay calm.
export function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// show hides or shows an element.
export function show(e, on) {
  if (e.hidden === on) e.hidden = !on;
}
