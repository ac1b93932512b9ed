<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>azolla: profile</title>
    <style>
      html, body {
        box-sizing: border-box;
        display: flow-root;
        height: 100%;
        margin: 0;
        padding: 0;
      }
    </style>
<script src="https://cdn.bokeh.org/bokeh/release/bokeh-3.9.2.min.js"></script>
<script>
Bokeh.set_log_level("info");
</script>
  </head>
  <body>
    <div id="d60f0d19-5504-4b88-ba1d-df458ef99552" data-root-id="p2043" style="display: contents;"></div>
  
    <script type="application/json" id="f261e0c1-5142-4d80-b133-56ec26d4b0a7">
      {"00bd4af6-4f39-47ad-a515-69628a11a274":{"version":"3.9.2","title":"Bokeh Application","config":{"type":"object","name":"DocumentConfig","id":"p2088","attributes":{"notifications":{"type":"object","name":"Notifications","id":"p2089"}}},"roots":[{"type":"object","name":"Figure","id":"p2043","attributes":{"sizing_mode":"stretch_both","x_range":{"type":"object","name":"Range1d","id":"p2042"},"y_range":{"type":"object","name":"DataRange1d","id":"p2045"},"x_scale":{"type":"object","name":"LinearScale","id":"p2053"},"y_scale":{"type":"object","name":"LinearScale","id":"p2054"},"title":{"type":"object","name":"Title","id":"p2046","attributes":{"text":"Profile"}},"renderers":[{"type":"object","name":"GlyphRenderer","id":"p2084","attributes":{"data_source":{"type":"object","name":"ColumnDataSource","id":"p2078","attributes":{"selected":{"type":"object","name":"Selection","id":"p2079","attributes":{"indices":[],"line_indices":[]}},"selection_policy":{"type":"object","name":"UnionRenderers","id":"p2080"},"data":{"type":"map","entries":[["left",[0.0]],["right",[0.0]],["bottom",[0]],["top",[1]],["name",["all tasks"]],["file",[""]],["line",[""]],["took",["0 \u00b5s"]],["share",["0.0 %"]],["color",["lightgray"]]]}}},"view":{"type":"object","name":"CDSView","id":"p2085","attributes":{"filter":{"type":"object","name":"AllIndices","id":"p2086"}}},"glyph":{"type":"object","name":"Quad","id":"p2081","attributes":{"left":{"type":"field","field":"left"},"right":{"type":"field","field":"right"},"bottom":{"type":"field","field":"bottom"},"top":{"type":"field","field":"top"},"line_color":{"type":"value","value":"white"},"fill_color":{"type":"field","field":"color"},"hatch_color":{"type":"field","field":"color"}}},"nonselection_glyph":{"type":"object","name":"Quad","id":"p2082","attributes":{"left":{"type":"field","field":"left"},"right":{"type":"field","field":"right"},"bottom":{"type":"field","field":"bottom"},"top":{"type":"field","field":"top"},"line_color":{"type":"value","value":"white"},"line_alpha":{"type":"value","value":0.1},"fill_color":{"type":"field","field":"color"},"fill_alpha":{"type":"value","value":0.1},"hatch_color":{"type":"field","field":"color"},"hatch_alpha":{"type":"value","value":0.1}}},"muted_glyph":{"type":"object","name":"Quad","id":"p2083","attributes":{"left":{"type":"field","field":"left"},"right":{"type":"field","field":"right"},"bottom":{"type":"field","field":"bottom"},"top":{"type":"field","field":"top"},"line_color":{"type":"value","value":"white"},"line_alpha":{"type":"value","value":0.2},"fill_color":{"type":"field","field":"color"},"fill_alpha":{"type":"value","value":0.2},"hatch_color":{"type":"field","field":"color"},"hatch_alpha":{"type":"value","value":0.2}}}}}],"toolbar":{"type":"object","name":"Toolbar","id":"p2052","attributes":{"tools":[{"type":"object","name":"PanTool","id":"p2065"},{"type":"object","name":"WheelZoomTool","id":"p2066","attributes":{"renderers":"auto"}},{"type":"object","name":"BoxZoomTool","id":"p2067","attributes":{"overlay":{"type":"object","name":"BoxAnnotation","id":"p2068","attributes":{"syncable":false,"line_color":"black","line_alpha":1.0,"line_width":2,"line_dash":[4,4],"fill_color":"lightgrey","fill_alpha":0.5,"level":"overlay","visible":false,"left":{"type":"number","value":"nan"},"right":{"type":"number","value":"nan"},"top":{"type":"number","value":"nan"},"bottom":{"type":"number","value":"nan"},"left_units":"canvas","right_units":"canvas","top_units":"canvas","bottom_units":"canvas","handles":{"type":"object","name":"BoxInteractionHandles","id":"p2074","attributes":{"all":{"type":"object","name":"AreaVisuals","id":"p2073","attributes":{"fill_color":"white","hover_fill_color":"lightgray"}}}}}}}},{"type":"object","name":"SaveTool","id":"p2075"},{"type":"object","name":"ResetTool","id":"p2076"},{"type":"object","name":"HelpTool","id":"p2077"},{"type":"object","name":"HoverTool","id":"p2087","attributes":{"renderers":"auto","tooltips":[["","@name"],["where","@file"],["line","@line"],["time","@took (@share)"]],"sort_by":null}}]}},"left":[{"type":"object","name":"LinearAxis","id":"p2060","attributes":{"visible":false,"ticker":{"type":"object","name":"BasicTicker","id":"p2061","attributes":{"mantissas":[1,2,5]}},"formatter":{"type":"object","name":"BasicTickFormatter","id":"p2062"},"major_label_policy":{"type":"object","name":"AllLabels","id":"p2063"}}}],"below":[{"type":"object","name":"LinearAxis","id":"p2055","attributes":{"visible":false,"ticker":{"type":"object","name":"BasicTicker","id":"p2056","attributes":{"mantissas":[1,2,5]}},"formatter":{"type":"object","name":"BasicTickFormatter","id":"p2057"},"major_label_policy":{"type":"object","name":"AllLabels","id":"p2058"}}}],"center":[{"type":"object","name":"Grid","id":"p2059","attributes":{"visible":false,"axis":{"id":"p2055"}}},{"type":"object","name":"Grid","id":"p2064","attributes":{"visible":false,"dimension":1,"axis":{"id":"p2060"}}}]}}]}}
    </script>
    <script>
      (function() {
        const fn = function() {
          Bokeh.safely(function() {
            (function(root) {
              function embed_document(root) {
              const docs_json = document.getElementById('f261e0c1-5142-4d80-b133-56ec26d4b0a7').textContent;
              const render_items = [{"docid":"00bd4af6-4f39-47ad-a515-69628a11a274","roots":{"p2043":"d60f0d19-5504-4b88-ba1d-df458ef99552"},"root_ids":["p2043"]}];
              root.Bokeh.embed.embed_items(docs_json, render_items);
              }
              if (root.Bokeh !== undefined) {
                embed_document(root);
              } else {
                let attempts = 0;
                const timer = setInterval(function(root) {
                  if (root.Bokeh !== undefined) {
                    clearInterval(timer);
                    embed_document(root);
                  } else {
                    attempts++;
                    if (attempts > 100) {
                      clearInterval(timer);
                      console.log("Bokeh: ERROR: Unable to run BokehJS code because BokehJS library is missing");
                    }
                  }
                }, 10, root)
              }
            })(window);
          });
        };
        if (document.readyState != "loading") fn();
        else document.addEventListener("DOMContentLoaded", fn);
      })();
    </script>
  </body>
</html>