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
