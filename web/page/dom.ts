// SPDX-License-Identifier: MIT
//
// Elements in one expression: h("button", { type: "button", onclick: go }, "Go").

type Value = string | number | boolean | null | undefined | ((event: never) => void);
type Child = Node | string | null | undefined | false;

export function h<K extends keyof HTMLElementTagNameMap>(
    tag: K,
    attributes: Record<string, Value> = {},
    ...children: Child[]
): HTMLElementTagNameMap[K] {
    const element = document.createElement(tag);
    set(element, attributes);
    element.append(...children.filter(isNode));
    return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(
    tag: string,
    attributes: Record<string, Value> = {},
    ...children: Child[]
): SVGElement {
    const element = document.createElementNS(SVG, tag);
    set(element, attributes);
    element.append(...children.filter(isNode));
    return element;
}

// A card of the page: a section that is called by its heading.
export function card(
    id: string,
    heading: string,
    attributes: Record<string, Value>,
    ...children: Child[]
): HTMLElement {
    const named = { class: "card", "aria-labelledby": id, ...attributes };
    return h("section", named, h("h2", { id }, heading), ...children);
}

// A place for what is wrong, which is read out at once; "" takes it away.
export function complaints(): { trouble: HTMLElement; complain(text: string): void } {
    const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
    return {
        trouble,
        complain(text) {
            say(trouble, text);
            trouble.hidden = !text;
        },
    };
}

// true: the attribute is there; false, null: it is not.
export function set(element: Element, attributes: Record<string, Value>): void {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") {
            element.addEventListener(name.slice(2), value as (event: Event) => void);
        } else if (value === false || value === null || value === undefined) {
            element.removeAttribute(name);
        } else {
            element.setAttribute(name, value === true ? "" : String(value));
        }
    }
}

// Text that changes often: nothing is touched where it stays the same, so that a screen reader
// hears of changes alone.
export function say(element: Element, text: string): void {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

function isNode(child: Child): child is Node | string {
    return child !== null && child !== undefined && child !== false;
}
