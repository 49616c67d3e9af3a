/* The values under the pointer, and a button that copies the command. The page is whole without. */
"use strict";
(function () {
    function numbers(text) {
        return text.split(" ").map(function (word) { return word === "" ? NaN : Number(word); });
    }

    function nearest(values, x) {
        let best = -1;
        values.forEach(function (value, i) {
            if (!Number.isNaN(value) && (best < 0 || Math.abs(value - x) < Math.abs(values[best] - x))) {
                best = i;
            }
        });
        return best;
    }

    function short(value, percent) {
        return percent ? (100 * value).toFixed(2) + " %" : String(Number(value.toPrecision(4)));
    }

    document.querySelectorAll(".chart svg").forEach(function (svg) {
        const plot = numbers(svg.dataset.plot), domain = numbers(svg.dataset.domain);
        const readout = svg.parentNode.querySelector(".readout");
        const series = Array.from(svg.querySelectorAll(".series")).filter(function (group) {
            return group.dataset.x;
        }).map(function (group) {
            return {name: group.dataset.name, x: numbers(group.dataset.x), y: numbers(group.dataset.y)};
        });
        const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
        cursor.setAttribute("class", "cursor");
        if (series.length === 0 || !svg.dataset.xLabel) {
            return;
        }
        svg.appendChild(cursor);
        svg.addEventListener("pointermove", function (event) {
            const box = svg.getBoundingClientRect();
            const pixel = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
            const share = Math.min(1, Math.max(0, (pixel - plot[0]) / (plot[1] - plot[0])));
            const x = domain[0] + share * (domain[1] - domain[0]);
            const at = plot[0] + share * (plot[1] - plot[0]);
            cursor.setAttribute("d", "M" + at + " " + plot[2] + "V" + plot[3]);
            readout.textContent = svg.dataset.xLabel + " " + Number(x.toPrecision(3)) + ": " + series.map(function (one) {
                const i = nearest(one.x, x);
                return i < 0 || Number.isNaN(one.y[i]) ? "" : one.name + " " + short(one.y[i], "percent" in svg.dataset);
            }).filter(Boolean).join(" \u00b7 ");
        });
        svg.addEventListener("pointerleave", function () {
            cursor.removeAttribute("d");
            readout.textContent = "";
        });
    });

    const code = document.querySelector("#command code");
    if (code && navigator.clipboard) {
        const button = document.createElement("button");
        button.className = "copy";
        button.textContent = "copy";
        button.addEventListener("click", function () {
            navigator.clipboard.writeText(code.textContent).then(function () { button.textContent = "copied"; });
        });
        code.closest("section").prepend(button);
    }
})();
